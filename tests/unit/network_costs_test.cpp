// Every number here was worked out by hand from the sizes beside it.
#include <gtest/gtest.h>

#include "layerledger/network/builder.hpp"
#include "layerledger/network/costs.hpp"
#include "unit/network_support.hpp"

namespace layerledger {
namespace {

using testing::op_named;

constexpr CostBasis three_images{.batch = 3};

void expect_cost(const Network& network, const std::string& op, Phase phase, double flops,
                 double bytes, const CostBasis& basis = three_images) {
    const Cost cost = op_cost(network, op_named(network, op).id, phase, basis);
    EXPECT_EQ(cost.flops, flops) << op << " " << name(phase);
    EXPECT_EQ(cost.bytes, bytes) << op << " " << name(phase);
}

// 3 images: input 96 elements, conv1 192 (72 weights, 4 biases, 1,152 multiply-adds an image),
// conv2 24 (4 weights, 16 multiply-adds an image), logits 15 (40 weights, 5 biases).
Network chain() {
    NetworkBuilder net("chain", {2, 4, 4}, 5);
    net.layer("conv1");
    OpId x = net.convolution(
        net.input(), {.output_channels = 4, .window = {.kernel = 3, .padding = 1}, .relu = true});
    net.layer("conv2");
    x = net.convolution(
        x, {.output_channels = 2, .window = {.stride = 2}, .groups = 2, .bias = false});
    net.layer("output");
    net.softmax_loss(net.fully_connected(x, {.outputs = 5}));
    return std::move(net).build();
}

// One parameterless operation behind a convolution, on maps of 192 elements for 3 images.
template <class Append>
Network behind_convolution(Append append) {
    NetworkBuilder net("behind", {2, 4, 4}, 2);
    net.layer("conv1");
    OpId x = net.convolution(net.input(), {.output_channels = 4});
    x = append(net, x);
    net.layer("output");
    net.softmax_loss(net.fully_connected(x, {.outputs = 2}));
    return std::move(net).build();
}

TEST(Costs, FirstConvolutionWithBiasAndRectifier) {
    const Network network = chain();
    expect_cost(network, "conv1/conv", Phase::forward, 2 * 3456 + 192 + 192,
                4 * (96 + 72 + 192) + 4 * 4);
    // No gradient of the images; bias 192 flops over 192 + 4 elements; rectifier three passes.
    expect_cost(network, "conv1/conv", Phase::backward, 2 * 3456 + 192 + 192,
                4 * (96 + 72 + 192) + 4 * (192 + 4) + 3 * 4 * 192);
    expect_cost(network, "conv1/conv", Phase::update, 5 * 76, 5 * 4 * 76);
}

TEST(Costs, LaterConvolutionAlsoHasADataGradient) {
    const Network network = chain();
    expect_cost(network, "conv2/conv", Phase::forward, 96, 4 * (192 + 4 + 24));
    expect_cost(network, "conv2/conv", Phase::backward, 2 * 96, 2 * 4 * (192 + 4 + 24));
}

TEST(Costs, FullyConnectedAndLoss) {
    const Network network = chain();
    expect_cost(network, "output/fc", Phase::forward, 2 * 120 + 15, 4 * (24 + 40 + 15) + 4 * 5);
    expect_cost(network, "output/fc", Phase::backward, 4 * 120 + 15,
                2 * 4 * (24 + 40 + 15) + 4 * (15 + 5));
    expect_cost(network, "output/loss", Phase::forward, 5 * 15, 2 * 4 * 15);
    expect_cost(network, "output/loss", Phase::backward, 15 + 3, 2 * 4 * 15);
}

TEST(Costs, UpdateDependsOnTheStatesOfTheOptimizer) {
    const Network network = chain();
    const auto update = [&](std::int64_t states, double touches) {
        expect_cost(network, "output/fc", Phase::update, touches * 45, touches * 4 * 45,
                    {.optimizer_states = states});
    };
    update(0, 3);  // reads weight and gradient, writes weight
    update(1, 5);
    update(2, 7);
}

TEST(Costs, HalfPrecisionHalvesTheTrafficButNotTheUpdate) {
    const Network network = chain();
    const CostBasis half{.batch = 3, .element_bytes = 2};
    expect_cost(network, "conv2/conv", Phase::forward, 96, 2 * (192 + 4 + 24), half);
    expect_cost(network, "conv2/conv", Phase::update, 5 * 4, 5 * 4 * 4, half);
}

TEST(Costs, PoolsReadOneMapAndWriteAnother) {
    const Window window{.kernel = 2, .stride = 2};
    const Network highest =
        behind_convolution([&](NetworkBuilder& net, OpId x) { return net.max_pool(x, window); });
    // 48 outputs, each with a byte that says where its maximum was.
    expect_cost(highest, "conv1/pool", Phase::forward, 4 * 48, 4 * (192 + 48) + 48);
    expect_cost(highest, "conv1/pool", Phase::backward, 48, 4 * (192 + 48) + 48);

    const Network mean = behind_convolution(
        [&](NetworkBuilder& net, OpId x) { return net.average_pool(x, window); });
    expect_cost(mean, "conv1/pool", Phase::forward, 5 * 48, 4 * (192 + 48));
    expect_cost(mean, "conv1/pool", Phase::backward, 5 * 48, 4 * (192 + 48));
}

TEST(Costs, NormalizationsByTheirConventions) {
    const Network batch = behind_convolution(
        [](NetworkBuilder& net, OpId x) { return net.batch_norm(x, {.relu = true}); });
    expect_cost(batch, "conv1/bn", Phase::forward, 8 * 192, 4 * (3 * 192 + 4 * 4));
    expect_cost(batch, "conv1/bn", Phase::backward, 12 * 192, 4 * (5 * 192 + 4 * 4) + 4 * 192);
    expect_cost(batch, "conv1/bn", Phase::update, 5 * 8, 5 * 4 * 8);

    const Network local =
        behind_convolution([](NetworkBuilder& net, OpId x) { return net.lrn(x); });
    expect_cost(local, "conv1/lrn", Phase::forward, 10 * 192, 2 * 4 * 192);
    expect_cost(local, "conv1/lrn", Phase::backward, 18 * 192, 4 * 4 * 192);
}

TEST(Costs, ElementwiseOperations) {
    const Network rectifier =
        behind_convolution([](NetworkBuilder& net, OpId x) { return net.relu(x); });
    expect_cost(rectifier, "conv1/relu", Phase::forward, 192, 2 * 4 * 192);
    expect_cost(rectifier, "conv1/relu", Phase::backward, 192, 3 * 4 * 192);

    const Network dropout =
        behind_convolution([](NetworkBuilder& net, OpId x) { return net.dropout(x, 0.5F); });
    expect_cost(dropout, "conv1/dropout", Phase::forward, 2 * 192, 2 * 4 * 192 + 192);
    expect_cost(dropout, "conv1/dropout", Phase::backward, 192, 2 * 4 * 192 + 192);
}

TEST(Costs, ASharedOutputMakesItsEarlierReadersAddTheirGradients) {
    const Network network = behind_convolution([](NetworkBuilder& net, OpId x) {
        const OpId branch = net.relu(x);
        return net.add(branch, x, {.relu = false});
    });
    expect_cost(network, "conv1/add", Phase::forward, 192, 3 * 4 * 192);
    // Backward begins with the sum, which hands its gradient on; the rectifier then adds to it.
    expect_cost(network, "conv1/add", Phase::backward, 0, 0);
    expect_cost(network, "conv1/relu", Phase::backward, 2 * 192, 4 * 4 * 192);
}

TEST(Costs, NothingFlowsBackToTheImages) {
    NetworkBuilder net("pool_first", {1, 4, 4}, 2);
    net.layer("pool1");
    const OpId x = net.max_pool(net.input(), {.kernel = 2, .stride = 2});
    net.layer("output");
    net.softmax_loss(net.fully_connected(x, {.outputs = 2}));
    const Network network = std::move(net).build();
    expect_cost(network, "pool1/pool", Phase::backward, 0, 0);
    expect_cost(network, "pool1/input", Phase::forward, 0, 0);
    // 4 inputs, 8 weights, 2 biases: the gradient of the weights alone.
    expect_cost(network, "output/fc", Phase::backward, 2 * 8 + 2, 4 * (4 + 8 + 2) + 4 * (2 + 2),
                {});
}

TEST(Costs, LayersAddUpTheirOps) {
    const Network network = chain();
    const Cost layer = layer_cost(network, LayerId{2}, Phase::forward, three_images);
    EXPECT_EQ(layer.flops, 255 + 75);
    EXPECT_EQ(layer.bytes, 336 + 120);
    EXPECT_EQ(layer_parameters(network, LayerId{0}), 76);
    EXPECT_EQ(layer_parameters(network, LayerId{2}), 45);
    EXPECT_EQ(forward_macs(network), 1152 + 16 + 40);
}

}  // namespace
}  // namespace layerledger
