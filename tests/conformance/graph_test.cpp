// Operations that join or fork: rectifier, residual add, concatenation, several readers.
#include <cmath>

#include "conformance/harness.hpp"

namespace layerledger::conformance {
namespace {

OpId conv(NetworkBuilder& net, OpId x, std::int64_t channels, std::string_view name,
          bool relu = false) {
    return net.convolution(x, {channels, {.kernel = 3, .padding = 1}, 1, true, relu}, name);
}

Network closed(NetworkBuilder& net, OpId x) {
    net.layer("output");
    net.softmax_loss(net.fully_connected(x, {.outputs = 4}));
    return std::move(net).build();
}

class GraphConformance : public Conformance {};

TEST_P(GraphConformance, ReluStandsAlone) {
    NetworkBuilder net("relu", {3, 6, 6}, 4);
    net.layer("conv1");
    const OpId x = net.relu(conv(net, net.input(), 20, "conv"));
    expect_conforms(*backend_, closed(net, x), {.batch = 2});
}

TEST_P(GraphConformance, WhatIsNoNumberStaysSoThroughRectifiers) {
    if (backend_->info().backend == "cpu") {
        GTEST_SKIP() << "oneDNN's rectifiers make zero of what is no number";
    }
    NetworkBuilder net("rectified", {3, 6, 6}, 4);
    net.layer("conv1");
    OpId x = net.convolution(net.input(), {16, {.kernel = 3}, 1, true, true});
    x = net.relu(x);
    net.layer("output");
    x = net.fully_connected(x, {.outputs = 8, .relu = true}, "rectified");
    net.softmax_loss(net.fully_connected(x, {.outputs = 4}));
    Harness harness(*backend_, std::move(net).build(), {.batch = 2});
    harness.batch().images[0] = std::nanf("");
    harness.forward(Mode::training);
    const std::vector<float> losses = harness.ops().output(harness.network().ops().back().id);
    EXPECT_TRUE(std::isnan(losses[0]));
    EXPECT_TRUE(std::isfinite(losses[1]));
}

TEST_P(GraphConformance, ReluSharesItsInputWithAnotherReader) {
    NetworkBuilder net("relu", {3, 6, 6}, 4);
    net.layer("conv1");
    const OpId x = conv(net, net.input(), 16, "conv");
    const OpId y = net.add(net.relu(x), x);
    expect_conforms(*backend_, closed(net, y), {.batch = 2});
}

TEST_P(GraphConformance, AddPassesItsGradientToBoth) {
    for (const bool relu : {false, true}) {
        NetworkBuilder net("add", {3, 6, 6}, 4);
        net.layer("conv1");
        const OpId a = conv(net, net.input(), 16, "a", true);
        const OpId b = conv(net, net.input(), 16, "b", true);
        expect_conforms(*backend_, closed(net, net.add(a, b, {.relu = relu})), {.batch = 2});
    }
}

TEST_P(GraphConformance, ResidualBlocksChain) {
    for (const bool relu : {false, true}) {
        SCOPED_TRACE(relu);
        NetworkBuilder net("residual", {3, 6, 6}, 4);
        net.layer("stem");
        OpId x = conv(net, net.input(), 16, "conv", true);
        for (const char* block : {"block1", "block2", "block3"}) {
            net.layer(block);
            const OpId branch = conv(net, conv(net, x, 16, "a", true), 16, "b");
            x = net.add(x, branch, {.relu = relu});
        }
        expect_conforms(*backend_, closed(net, x), {.batch = 2});
    }
}

TEST_P(GraphConformance, AddsOfAddsKeepGradientsApart) {
    NetworkBuilder net("adds", {3, 6, 6}, 4);
    net.layer("conv1");
    const OpId a = conv(net, net.input(), 16, "a", true);
    const OpId b = conv(net, net.input(), 16, "b", true);
    const OpId c = net.add(a, b, {}, "add1");
    const OpId d = net.add(c, a, {.relu = true}, "add2");
    const OpId e = net.add(d, c, {}, "add3");
    expect_conforms(*backend_, closed(net, e), {.batch = 2});
}

TEST_P(GraphConformance, ConcatJoinsChannels) {
    struct Widths {
        std::int64_t a, b, c;
    };
    for (const Widths widths : {Widths{16, 32, 48}, Widths{16, 24, 8}, Widths{5, 7, 11}}) {
        SCOPED_TRACE(widths.b);
        NetworkBuilder net("concat", {3, 6, 6}, 4);
        net.layer("conv1");
        const OpId x = conv(net, net.input(), 16, "stem", true);
        const OpId joined = net.concat(
            {conv(net, x, widths.a, "a", true), conv(net, x, widths.b, "b", true),
             net.max_pool(conv(net, x, widths.c, "c"), {.kernel = 3, .stride = 1, .padding = 1})});
        net.layer("conv2");
        expect_conforms(*backend_, closed(net, conv(net, joined, 16, "conv", true)), {.batch = 2});
    }
}

TEST_P(GraphConformance, AuxiliaryClassifierAddsItsGradient) {
    NetworkBuilder net("auxiliary", {3, 6, 6}, 4);
    net.layer("conv1");
    const OpId x = conv(net, net.input(), 16, "conv", true);
    net.auxiliary_layer("side");
    net.softmax_loss(net.fully_connected(x, {.outputs = 4}), 0.3F);
    net.layer("conv2");
    expect_conforms(*backend_, closed(net, conv(net, x, 16, "conv", true)), {.batch = 2});
}

INSTANTIATE_TEST_SUITE_P(Backends, GraphConformance, on_every_backend(), backend_name);

}  // namespace
}  // namespace layerledger::conformance
