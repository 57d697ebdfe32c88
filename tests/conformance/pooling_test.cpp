#include "conformance/harness.hpp"

namespace layerledger::conformance {
namespace {

Network pooled(std::int64_t extent, const Window& window, bool maximum) {
    NetworkBuilder net("pooled", {3, extent, extent}, 4);
    net.layer("conv1");
    OpId x = net.convolution(net.input(), {24, {.kernel = 3, .padding = 1}, 1, true, true});
    x = maximum ? net.max_pool(x, window) : net.average_pool(x, window);
    net.layer("output");
    net.softmax_loss(net.fully_connected(x, {.outputs = 4}));
    return std::move(net).build();
}

class PoolingConformance : public Conformance {};

TEST_P(PoolingConformance, MatchesTheReference) {
    const Window windows[] = {
        {.kernel = 2, .stride = 2},
        {.kernel = 3, .stride = 2},
        {.kernel = 3, .stride = 1, .padding = 1},
        {.kernel = 3, .stride = 2, .padding = 1},
        {.kernel = 3, .stride = 2, .padding = 0, .ceil_mode = true},
        {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true},
        {.kernel = 5, .stride = 3},
    };
    for (const Window& window : windows) {
        for (const std::int64_t extent : {8, 11}) {
            for (const bool maximum : {true, false}) {
                SCOPED_TRACE(testing::Message()
                             << (maximum ? "max " : "average ") << window.kernel << " stride "
                             << window.stride << " padding " << window.padding << " ceil "
                             << window.ceil_mode << " on " << extent);
                expect_conforms(*backend_, pooled(extent, window, maximum), {.batch = 2});
            }
        }
    }
}

TEST_P(PoolingConformance, ALargeWindowConformsOrIsRefused) {
    expect_conforms(*backend_, pooled(15, {.kernel = 15, .stride = 15}, true), {.batch = 2});
    Network network = pooled(32, {.kernel = 16, .stride = 16}, true);
    if (backend_->info().backend == "cuda") {
        EXPECT_THROW(Harness(*backend_, std::move(network), {.batch = 2}), Error);
    } else {
        expect_conforms(*backend_, std::move(network), {.batch = 2});
    }
}

TEST_P(PoolingConformance, PoolsTheWholeImage) {
    NetworkBuilder net("global", {3, 7, 7}, 4);
    net.layer("conv1");
    OpId x = net.convolution(net.input(), {.output_channels = 32, .window = {1}});
    x = net.global_average_pool(x);
    net.layer("output");
    net.softmax_loss(net.fully_connected(x, {.outputs = 4}));
    expect_conforms(*backend_, std::move(net).build(), {.batch = 3});
}

// A rectifier that feeds a pool alone and one that has another reader too.
TEST_P(PoolingConformance, RectifiedInputMayHaveAnotherReader) {
    NetworkBuilder net("shared", {3, 8, 8}, 4);
    net.layer("conv1");
    const OpId x = net.convolution(net.input(), {16, {.kernel = 3, .padding = 1}, 1, true, true});
    const OpId maximum = net.max_pool(x, {.kernel = 3, .stride = 1, .padding = 1});
    const OpId sum = net.add(x, maximum);
    net.layer("output");
    net.softmax_loss(net.fully_connected(sum, {.outputs = 4}));
    expect_conforms(*backend_, std::move(net).build(), {.batch = 2});
}

INSTANTIATE_TEST_SUITE_P(Backends, PoolingConformance, on_every_backend(), backend_name);

}  // namespace
}  // namespace layerledger::conformance
