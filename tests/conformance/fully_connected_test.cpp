#include "conformance/harness.hpp"

namespace layerledger::conformance {
namespace {

Network two_layers(const Shape& input, std::int64_t hidden, bool relu) {
    NetworkBuilder net("fc", input, 7);
    net.layer("fc1");
    const OpId x = net.fully_connected(net.input(), {.outputs = hidden, .relu = relu});
    net.layer("output");
    net.softmax_loss(net.fully_connected(x, {.outputs = 7}));
    return std::move(net).build();
}

class FullyConnectedConformance : public Conformance {};

TEST_P(FullyConnectedConformance, MatchesTheReference) {
    expect_conforms(*backend_, two_layers({10, 1, 1}, 16, false), {.batch = 3});
    expect_conforms(*backend_, two_layers({64, 1, 1}, 100, true), {.batch = 32});
}

TEST_P(FullyConnectedConformance, FlattensImagesInOrderOfChannelRowColumn) {
    expect_conforms(*backend_, two_layers({3, 5, 4}, 33, true), {.batch = 4});
}

TEST_P(FullyConnectedConformance, FlattensWhatAConvolutionMade) {
    NetworkBuilder net("flatten", {3, 6, 6}, 5);
    net.layer("conv1");
    const OpId x = net.convolution(net.input(), {.output_channels = 20, .window = {3}});
    net.layer("output");
    net.softmax_loss(net.fully_connected(x, {.outputs = 5}));
    expect_conforms(*backend_, std::move(net).build(), {.batch = 5});
}

INSTANTIATE_TEST_SUITE_P(Backends, FullyConnectedConformance, on_every_backend(), backend_name);

}  // namespace
}  // namespace layerledger::conformance
