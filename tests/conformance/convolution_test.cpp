#include "conformance/harness.hpp"

namespace layerledger::conformance {
namespace {

struct Case {
    const char* what;
    std::int64_t batch;
    Shape input;
    Convolution convolution;
};

Network around(const Shape& input, const Convolution& convolution) {
    NetworkBuilder net("convolution", input, 4);
    net.layer("conv1");
    const OpId x = net.convolution(net.input(), convolution);
    net.layer("output");
    net.softmax_loss(net.fully_connected(x, {.outputs = 4}));
    return std::move(net).build();
}

class ConvolutionConformance : public Conformance {};

TEST_P(ConvolutionConformance, MatchesTheReferenceInAllDirections) {
    const Case cases[] = {
        {"one channel", 2, {1, 9, 9}, {.output_channels = 6, .window = {5}}},
        {"three channels, stride 4",
         2,
         {3, 23, 23},
         {64, {.kernel = 11, .stride = 4, .padding = 2}}},
        {"channels that are no multiple of 16", 3, {5, 7, 7}, {19, {.kernel = 3, .padding = 1}}},
        {"stride 2 on an even extent",
         2,
         {16, 8, 8},
         {32, {.kernel = 3, .stride = 2, .padding = 1}}},
        {"1x1", 2, {32, 6, 6}, {48, {.kernel = 1}}},
        {"1x1 stride 2", 2, {32, 7, 7}, {64, {.kernel = 1, .stride = 2}}},
        {"5x5", 2, {16, 9, 9}, {32, {.kernel = 5, .padding = 2}}},
        {"7x7 stride 2", 1, {3, 21, 21}, {64, {.kernel = 7, .stride = 2, .padding = 3}}},
        {"two groups", 2, {32, 7, 7}, {64, {.kernel = 5, .padding = 2}, 2}},
        {"groups of odd width", 2, {6, 7, 7}, {9, {.kernel = 3, .padding = 1}, 3}},
        {"no bias", 2, {16, 7, 7}, {16, {.kernel = 3, .padding = 1}, 1, false}},
        {"rectifier", 2, {16, 7, 7}, {24, {.kernel = 3, .padding = 1}, 1, true, true}},
        {"rectifier without bias", 2, {3, 7, 7}, {16, {.kernel = 3}, 1, false, true}},
        {"one image", 1, {4, 5, 5}, {8, {.kernel = 3}}},
        {"64 channels, 3x3, no padding", 4, {64, 11, 13}, {96, {.kernel = 3}, 1, true, true}},
        {"many channels, 3x3, stride 1",
         4,
         {128, 14, 14},
         {128, {.kernel = 3, .padding = 1}, 1, true, true}},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.what);
        expect_conforms(*backend_, around(c.input, c.convolution), {.batch = c.batch});
    }
}

TEST_P(ConvolutionConformance, GradientsAreWrittenNotAdded) {
    Harness harness(*backend_, around({3, 8, 8}, {16, {.kernel = 3}}), {.batch = 2});
    for (int pass = 0; pass < 2; ++pass) {
        harness.forward(Mode::training);
        harness.backward();
    }
    harness.expect_equal_gradients();
}

INSTANTIATE_TEST_SUITE_P(Backends, ConvolutionConformance, on_every_backend(), backend_name);

}  // namespace
}  // namespace layerledger::conformance
