#include "conformance/harness.hpp"

namespace layerledger::conformance {
namespace {

// Convolution, then `normalize`, then a classifier.
template <class Normalize>
Network normalized(std::int64_t channels, const Normalize& normalize) {
    NetworkBuilder net("normalized", {3, 8, 8}, 4);
    net.layer("conv1");
    const OpId x = net.convolution(net.input(), {.output_channels = channels, .window = {3}});
    const OpId y = normalize(net, x);
    net.layer("output");
    net.softmax_loss(net.fully_connected(y, {.outputs = 4}));
    return std::move(net).build();
}

Network batch_normalized(std::int64_t channels, const BatchNorm& attributes) {
    return normalized(channels,
                      [&](NetworkBuilder& net, OpId x) { return net.batch_norm(x, attributes); });
}

class NormalizationConformance : public Conformance {};

// The gradient of a bias in front of a batch norm is zero but for rounding, so the convolution in
// front has none here: relative errors would compare noise.
TEST_P(NormalizationConformance, BatchNormMatchesTheReference) {
    for (const bool relu : {false, true}) {
        for (const std::int64_t channels : {16, 21}) {
            SCOPED_TRACE(testing::Message() << channels << " channels, relu " << relu);
            NetworkBuilder net("bn", {3, 8, 8}, 4);
            net.layer("conv1");
            OpId x = net.convolution(net.input(), {channels, {.kernel = 3}, 1, false});
            x = net.batch_norm(x, {.relu = relu});
            net.layer("output");
            net.softmax_loss(net.fully_connected(x, {.outputs = 4}));
            expect_conforms(*backend_, std::move(net).build(), {.batch = 4});
        }
    }
}

TEST_P(NormalizationConformance, RunningStatisticsFollowTheBatches) {
    Harness harness(*backend_, batch_normalized(16, {.momentum = 0.25F}), {.batch = 4});
    std::vector<double> start(32, 0.0);
    std::fill(start.begin() + 16, start.end(), 1.0);
    EXPECT_EQ(relative_error(harness.ops().state(), start), 0.0);
    for (int pass = 0; pass < 3; ++pass) {
        harness.forward(Mode::training);
    }
    EXPECT_LE(relative_error(harness.ops().state(), harness.reference().statistics()), 1e-5);
    const std::vector<float> trained = harness.ops().state();
    harness.forward(Mode::inference);
    EXPECT_EQ(harness.ops().state(), trained) << "inference changes no statistics";
}

TEST_P(NormalizationConformance, StateSurvivesARoundTrip) {
    Harness harness(*backend_, batch_normalized(5, {}), {.batch = 2});
    std::vector<float> state(10);
    for (std::size_t i = 0; i < state.size(); ++i) {
        state[i] = 0.5F + static_cast<float>(i);
    }
    harness.ops().set_state(state);
    EXPECT_EQ(harness.ops().state(), state);
    EXPECT_THROW(harness.ops().set_state(std::vector<float>(3)), Error);
}

TEST_P(NormalizationConformance, LocalResponseNormMatchesTheReference) {
    for (const std::int64_t channels : {16, 32, 9}) {
        for (const LocalResponseNorm& attributes :
             {LocalResponseNorm{}, LocalResponseNorm{.size = 3, .alpha = 0.7F, .beta = 0.6F},
              LocalResponseNorm{.size = 5, .alpha = 0.5F, .beta = 0.75F, .k = 2.0F}}) {
            SCOPED_TRACE(testing::Message() << channels << " channels, size " << attributes.size);
            expect_conforms(*backend_,
                            normalized(channels, [&](NetworkBuilder& net,
                                                     OpId x) { return net.lrn(x, attributes); }),
                            {.batch = 2});
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Backends, NormalizationConformance, on_every_backend(), backend_name);

}  // namespace
}  // namespace layerledger::conformance
