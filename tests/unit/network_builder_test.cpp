#include <gmock/gmock.h>

#include "layerledger/network/builder.hpp"
#include "unit/network_support.hpp"

namespace layerledger {
namespace {

using ::testing::AllOf;
using testing::complaint_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::op_named;
using testing::parameter_named;

constexpr Window same{.kernel = 3, .padding = 1};

struct Knobs {
    std::string name = "small";
    std::int64_t classes = 3;
    float probability = 0.5F;
    bool relu = true;
    std::string op = "conv";
};

// conv1: convolution, pool; output: dropout, fully connected, loss.
Network small(const Knobs& knobs = {}) {
    NetworkBuilder net(knobs.name, {2, 8, 8}, knobs.classes);
    net.layer("conv1");
    OpId x = net.convolution(
        net.input(), {.output_channels = 4, .window = same, .groups = 2, .relu = knobs.relu},
        knobs.op);
    x = net.max_pool(x, {.kernel = 2, .stride = 2});
    net.layer("output");
    x = net.dropout(x, knobs.probability);
    net.softmax_loss(net.fully_connected(x, {.outputs = knobs.classes}));
    return std::move(net).build();
}

// What pooling makes of a square map.
std::int64_t pooled(std::int64_t extent, const Window& window) {
    NetworkBuilder net("pooled", {1, extent, extent}, 2);
    net.layer("pool1");
    return net.shape(net.max_pool(net.input(), window)).height;
}

TEST(Builder, NamesOpsAfterTheirLayer) {
    const Network network = small();
    std::vector<std::string> names;
    for (const Op& op : network.ops()) {
        names.push_back(op.name);
    }
    EXPECT_THAT(names, ElementsAre("conv1/input", "conv1/conv", "conv1/pool", "output/dropout",
                                   "output/fc", "output/loss"));
}

TEST(Builder, CutsOpsIntoLayersAndNamesTheirKind) {
    const Network network = small();
    ASSERT_EQ(network.layers().size(), 2U);
    EXPECT_EQ(network.ops_of(LayerId{0}).size(), 3U);
    EXPECT_EQ(network.ops_of(LayerId{1}).front().name, "output/dropout");
    EXPECT_EQ(network.ops_of(LayerId{1}).back().name, "output/loss");
    EXPECT_EQ(network.layers()[0].kind, "convolution");
    EXPECT_EQ(network.layers()[1].kind, "fully_connected");
}

TEST(Builder, GivesParametersTheirShapesAndFans) {
    const Network network = small();
    const Parameter& weight = parameter_named(network, "conv1/conv/weight");
    EXPECT_THAT(weight.dims, ElementsAre(4, 1, 3, 3));
    EXPECT_EQ(weight.fan_in, 9);
    EXPECT_EQ(weight.fan_out, 18);
    EXPECT_EQ(weight.role, ParameterRole::weight);
    EXPECT_THAT(parameter_named(network, "conv1/conv/bias").dims, ElementsAre(4));
    EXPECT_THAT(parameter_named(network, "output/fc/weight").dims, ElementsAre(3, 4 * 4 * 4));
    EXPECT_EQ(parameter_named(network, "output/fc/weight").fan_in, 64);
    EXPECT_EQ(network.parameter_elements(), 36 + 4 + 192 + 3);
}

TEST(Builder, ListsParametersInTheOrderOfTheirOps) {
    const Network network = small();
    const Op& conv = op_named(network, "conv1/conv");
    EXPECT_THAT(conv.parameters, ElementsAre(ParameterId{0}, ParameterId{1}));
    EXPECT_EQ(network.parameter(ParameterId{1}).name, "conv1/conv/bias");
    EXPECT_EQ(network.parameter(ParameterId{1}).op, conv.id);
}

TEST(Builder, BatchNormLearnsScaleAndShift) {
    NetworkBuilder net("normalized", {5, 4, 4}, 2);
    net.layer("output");
    const OpId x = net.batch_norm(net.input(), {});
    net.softmax_loss(net.fully_connected(x, {.outputs = 2}));
    const Network network = std::move(net).build();
    EXPECT_THAT(parameter_named(network, "output/bn/scale").dims, ElementsAre(5));
    EXPECT_THAT(parameter_named(network, "output/bn/shift").dims, ElementsAre(5));
    EXPECT_EQ(op_named(network, "output/bn").parameters.size(), 2U);
}

TEST(Builder, KnowsWhichParametersFeedARectifier) {
    NetworkBuilder net("rectifiers", {1, 8, 8}, 2);
    net.layer("all");
    const auto convolution = [&](OpId x, bool relu, std::string_view name) {
        return net.convolution(x, {.output_channels = 1, .window = same, .relu = relu}, name);
    };
    OpId x = convolution(net.input(), true, "fused");
    x = net.relu(convolution(x, false, "followed"));
    x = net.batch_norm(convolution(x, false, "normalized"), {.relu = true}, "bn");
    const OpId bare = net.batch_norm(convolution(x, false, "bare"), {.relu = false}, "bare_bn");
    const OpId twice = convolution(bare, false, "twice");
    x = net.add(net.relu(twice, "relu2"), twice, {.relu = true});
    net.softmax_loss(net.fully_connected(x, {.outputs = 2}));
    const Network network = std::move(net).build();
    const auto rectified = [&](const std::string& op) {
        return parameter_named(network, op + "/weight").rectified;
    };
    EXPECT_TRUE(rectified("all/fused"));
    EXPECT_TRUE(rectified("all/followed"));
    EXPECT_TRUE(rectified("all/normalized"));
    EXPECT_FALSE(rectified("all/bare"));
    EXPECT_FALSE(rectified("all/twice"));
    EXPECT_FALSE(rectified("all/fc"));
}

TEST(Builder, KnowsConsumersAndWhereGradientsAreNeeded) {
    NetworkBuilder net("branches", {1, 4, 4}, 2);
    net.layer("output");
    const OpId pooled_image = net.max_pool(net.input(), {.kernel = 2, .stride = 2});
    const OpId a = net.convolution(pooled_image, {.output_channels = 1}, "a");
    const OpId b = net.convolution(a, {.output_channels = 3}, "b");
    const OpId joined = net.concat({a, b});
    EXPECT_EQ(net.shape(joined), (Shape{4, 2, 2}));
    const OpId logits = net.fully_connected(joined, {.outputs = 2});
    net.softmax_loss(logits);
    const Network network = std::move(net).build();
    EXPECT_THAT(network.consumers(a), ElementsAre(b, joined));
    EXPECT_FALSE(network.needs_gradient(network.ops().front().id));
    EXPECT_FALSE(network.needs_gradient(pooled_image));
    EXPECT_TRUE(network.needs_gradient(a));
    EXPECT_TRUE(network.needs_gradient(joined));
}

TEST(Builder, RoundsWindowsDownUnlessAskedOtherwise) {
    EXPECT_EQ(pooled(6, {.kernel = 3, .stride = 2}), 2);
    EXPECT_EQ(pooled(6, {.kernel = 3, .stride = 2, .ceil_mode = true}), 3);
    EXPECT_EQ(pooled(7, {.kernel = 3, .stride = 2, .ceil_mode = true}), 3);
    EXPECT_EQ(pooled(5, {.kernel = 3, .stride = 1, .padding = 1}), 5);
}

// Windows would start at -1, 2 and 5, the last beyond the 4 pixels and the leading padding.
TEST(Builder, DropsAHangingWindowThatStartsOutside) {
    EXPECT_EQ(pooled(4, {.kernel = 2, .stride = 3, .padding = 1, .ceil_mode = true}), 2);
}

TEST(Builder, GlobalPoolLeavesOnePixel) {
    NetworkBuilder net("global", {7, 5, 5}, 2);
    net.layer("output");
    EXPECT_EQ(net.shape(net.global_average_pool(net.input())), (Shape{7, 1, 1}));
}

TEST(Builder, RefusesAnImageThatIsTooSmall) {
    const auto complaint = complaint_of([] {
        NetworkBuilder net("tiny", {1, 2, 2}, 2);
        net.layer("conv1");
        net.max_pool(net.input(), {.kernel = 3});
    });
    EXPECT_EQ(complaint.code, ExitCode::configuration);
    EXPECT_EQ(complaint.message,
              "image size 2 is too small for tiny (conv1/pool gets 2x2 and needs 3x3) use a larger "
              "network.image_size");
}

TEST(Builder, RefusesDescriptionsThatMakeNoSense) {
    const auto complain = [](auto describe) {
        return complaint_of([&] {
            NetworkBuilder net("odd", {3, 4, 4}, 2);
            describe(net);
            static_cast<void>(std::move(net).build());
        });
    };
    const auto finish = [](NetworkBuilder& net) {
        net.layer("output");
        net.softmax_loss(net.fully_connected(net.input(), {.outputs = 2}));
    };
    const auto expect = [](const testing::Complaint& complaint, const std::string& words) {
        EXPECT_EQ(complaint.code, ExitCode::internal);
        EXPECT_THAT(complaint.message, AllOf(HasSubstr("badly described"), HasSubstr(words)));
    };
    EXPECT_EQ(complain(finish).code, ExitCode::ok);
    expect(complain([](NetworkBuilder&) {}), "no layers");
    expect(complain([](NetworkBuilder& net) { net.relu(net.input()); }), "first layer");
    expect(complain([&](NetworkBuilder& net) {
               net.layer("empty");
               finish(net);
           }),
           "empty layer");
    expect(complain([&](NetworkBuilder& net) {
               finish(net);
               net.softmax_loss(net.fully_connected(net.input(), {.outputs = 2}, "fc2"), 1,
                                "loss2");
           }),
           "one loss");
    expect(complain([&](NetworkBuilder& net) {
               finish(net);
               net.softmax_loss(net.fully_connected(net.input(), {.outputs = 2}));
           }),
           "this name");
    expect(complain([&](NetworkBuilder& net) {
               net.layer("unread");
               net.relu(net.input());
               finish(net);
           }),
           "read by someone");
    expect(complain([](NetworkBuilder& net) {
               net.layer("output");
               net.softmax_loss(net.fully_connected(net.input(), {.outputs = 5}));
           }),
           "one logit");
    expect(complain([](NetworkBuilder& net) {
               net.layer("conv1");
               net.convolution(net.input(), {.output_channels = 4, .groups = 2});
           }),
           "groups");
    expect(complain([](NetworkBuilder& net) {
               net.auxiliary_layer("aux");
               const OpId x = net.relu(net.input());
               net.layer("output");
               net.relu(x);
           }),
           "training only");
}

TEST(Digest, IsTheSameForTheSameNetwork) {
    EXPECT_EQ(small().digest(), small().digest());
}

TEST(Digest, SeesEveryDifference) {
    const std::uint64_t digest = small().digest();
    EXPECT_NE(small({.name = "other"}).digest(), digest);
    EXPECT_NE(small({.classes = 4}).digest(), digest);
    EXPECT_NE(small({.probability = 0.25F}).digest(), digest);
    EXPECT_NE(small({.relu = false}).digest(), digest);
    EXPECT_NE(small({.op = "convolution"}).digest(), digest);
}

}  // namespace
}  // namespace layerledger
