#include <gmock/gmock.h>

#include "layerledger/network/costs.hpp"
#include "layerledger/network/zoo.hpp"
#include "unit/network_support.hpp"

namespace layerledger {
namespace {

using ::testing::AllOf;
using testing::complaint_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::op_named;
using testing::parameter_named;

std::vector<std::string> layer_names(const Network& network) {
    std::vector<std::string> names;
    for (const Layer& layer : network.layers()) {
        names.push_back(layer.name);
    }
    return names;
}

std::int64_t parameters_without_auxiliary(const Network& network) {
    std::int64_t sum = 0;
    for (const Layer& layer : network.layers()) {
        sum += layer.auxiliary ? 0 : layer_parameters(network, layer.id);
    }
    return sum;
}

// Totals as published for the architectures, or as counted on other implementations of them.
struct Total {
    std::string network;
    Normalization normalization;
    std::int64_t parameters;
    std::int64_t macs;
};

class Totals : public ::testing::TestWithParam<Total> {};

TEST_P(Totals, AreThePublishedOnes) {
    const Total& total = GetParam();
    const Network network = make_network(total.network, {.normalization = total.normalization});
    EXPECT_EQ(parameters_without_auxiliary(network), total.parameters);
    EXPECT_EQ(forward_macs(network), total.macs);
}

INSTANTIATE_TEST_SUITE_P(
    Zoo, Totals,
    ::testing::Values(Total{"lenet5", Normalization::none, 61'706, 416'520},
                      Total{"alexnet", Normalization::none, 61'100'840, 714'188'480},
                      Total{"alexnet", Normalization::lrn, 60'965'224, 724'406'816},
                      Total{"vgg11", Normalization::none, 132'863'336, 7'609'090'048},
                      Total{"vgg16", Normalization::none, 138'357'544, 15'470'264'320},
                      Total{"googlenet", Normalization::lrn, 6'998'552, 1'582'671'872},
                      Total{"googlenet", Normalization::none, 6'998'552, 1'582'671'872},
                      Total{"resnet50", Normalization::batch, 25'557'032, 4'089'184'256}),
    [](const auto& instance) {
        return instance.param.network + "_" + std::string(name(instance.param.normalization));
    });

TEST(Zoo, EveryVariantOfEveryArchitectureIsComplete) {
    for (const Architecture& architecture : zoo()) {
        for (const Variant& variant : architecture.variants) {
            const Network network =
                make_network(architecture.name, {.normalization = variant.normalization});
            EXPECT_EQ(network.name(), architecture.name);
            EXPECT_EQ(network.classes(), architecture.classes);
            EXPECT_EQ(network.input(),
                      (Shape{architecture.channels, variant.image_size, variant.image_size}));
            EXPECT_EQ(network.layers().back().name, "output");
        }
    }
}

TEST(Zoo, NamesLayersAsTheThesisDoes) {
    EXPECT_THAT(layer_names(make_network("lenet5")),
                ElementsAre("conv1", "conv2", "fc1", "fc2", "output"));
    for (const auto variant : {Normalization::none, Normalization::lrn, Normalization::batch}) {
        EXPECT_THAT(
            layer_names(make_network("alexnet", {.normalization = variant})),
            ElementsAre("conv1", "conv2", "conv3", "conv4", "conv5", "fc1", "fc2", "output"));
    }
    EXPECT_THAT(layer_names(make_network("vgg11")),
                ElementsAre("conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "conv7", "conv8",
                            "fc1", "fc2", "output"));
    EXPECT_THAT(
        layer_names(make_network("vgg16")),
        ElementsAre("conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "conv7", "conv8", "conv9",
                    "conv10", "conv11", "conv12", "conv13", "fc1", "fc2", "output"));
    EXPECT_THAT(layer_names(make_network("googlenet")),
                ElementsAre("conv1", "conv2", "inception3a", "inception3b", "inception4a", "aux1",
                            "inception4b", "inception4c", "inception4d", "aux2", "inception4e",
                            "inception5a", "inception5b", "output"));
}

TEST(Zoo, ResNetHasOneLayerForEachConvolutionAndTheOutput) {
    const std::vector<std::string> names = layer_names(make_network("resnet50"));
    ASSERT_EQ(names.size(), 54U);
    const std::vector<std::string> first(names.begin(), names.begin() + 8);
    EXPECT_THAT(first, ElementsAre("conv1", "conv2_1a", "conv2_1b", "conv2_1p", "conv2_1c",
                                   "conv2_2a", "conv2_2b", "conv2_2c"));
    const std::vector<std::string> last(names.end() - 3, names.end());
    EXPECT_THAT(last, ElementsAre("conv5_3b", "conv5_3c", "output"));
}

TEST(Zoo, MapsHaveThePapersSizes) {
    const auto output = [](const Network& network, std::string_view op) {
        return op_named(network, op).output;
    };
    const Network alexnet = make_network("alexnet");
    EXPECT_EQ(output(alexnet, "conv1/conv"), (Shape{64, 55, 55}));
    EXPECT_EQ(output(alexnet, "conv5/pool"), (Shape{256, 6, 6}));
    const Network original = make_network("alexnet", {.normalization = Normalization::lrn});
    EXPECT_EQ(output(original, "conv1/lrn"), (Shape{96, 55, 55}));
    EXPECT_EQ(output(original, "conv5/pool"), (Shape{256, 6, 6}));
    EXPECT_EQ(output(make_network("vgg16"), "conv13/pool"), (Shape{512, 7, 7}));
    const Network googlenet = make_network("googlenet");
    EXPECT_EQ(output(googlenet, "conv1/conv"), (Shape{64, 112, 112}));
    EXPECT_EQ(output(googlenet, "conv1/pool"), (Shape{64, 56, 56}));
    EXPECT_EQ(output(googlenet, "conv2/pool"), (Shape{192, 28, 28}));
    EXPECT_EQ(output(googlenet, "inception3b/concat"), (Shape{480, 28, 28}));
    EXPECT_EQ(output(googlenet, "inception4d/concat"), (Shape{528, 14, 14}));
    EXPECT_EQ(output(googlenet, "aux1/pool"), (Shape{512, 4, 4}));
    EXPECT_EQ(output(googlenet, "inception5b/concat"), (Shape{1024, 7, 7}));
    const Network resnet = make_network("resnet50");
    EXPECT_EQ(output(resnet, "conv1/pool"), (Shape{64, 56, 56}));
    EXPECT_EQ(output(resnet, "conv3_1a/conv"), (Shape{128, 56, 56}));
    EXPECT_EQ(output(resnet, "conv3_1b/conv"), (Shape{128, 28, 28}));
    EXPECT_EQ(output(resnet, "conv5_3c/add"), (Shape{2048, 7, 7}));
}

TEST(Zoo, GroupsOfTheOriginalAlexNetHalveItsWeights) {
    const Network network = make_network("alexnet", {.normalization = Normalization::lrn});
    EXPECT_THAT(parameter_named(network, "conv2/conv/weight").dims, ElementsAre(256, 48, 5, 5));
    EXPECT_THAT(parameter_named(network, "conv3/conv/weight").dims, ElementsAre(384, 256, 3, 3));
    EXPECT_THAT(parameter_named(network, "conv5/conv/weight").dims, ElementsAre(256, 192, 3, 3));
}

TEST(Zoo, DropoutBelongsToTheLayerThatItFeeds) {
    const auto has = [](const Network& network, std::string_view op) {
        return std::any_of(network.ops().begin(), network.ops().end(),
                           [&](const Op& candidate) { return candidate.name == op; });
    };
    const Network of_2014 = make_network("alexnet");
    EXPECT_TRUE(has(of_2014, "fc1/dropout") && has(of_2014, "fc2/dropout"));
    EXPECT_FALSE(has(of_2014, "output/dropout"));
    for (const Network& network :
         {make_network("alexnet", {.normalization = Normalization::lrn}), make_network("vgg11")}) {
        EXPECT_TRUE(has(network, "fc2/dropout") && has(network, "output/dropout"));
        EXPECT_FALSE(has(network, "fc1/dropout"));
    }
}

TEST(Zoo, BatchNormTakesOverBiasAndRectifier) {
    const Network network = make_network("alexnet", {.normalization = Normalization::batch});
    const auto& convolution = std::get<Convolution>(op_named(network, "conv1/conv").attributes);
    EXPECT_FALSE(convolution.bias);
    EXPECT_FALSE(convolution.relu);
    EXPECT_TRUE(std::get<BatchNorm>(op_named(network, "conv1/bn").attributes).relu);
    EXPECT_TRUE(std::get<BatchNorm>(op_named(network, "fc2/bn").attributes).relu);
    EXPECT_TRUE(parameter_named(network, "conv1/conv/weight").rectified);
}

TEST(Zoo, ResidualSumsAreRectifiedButTheirBranchesAreNot) {
    const Network network = make_network("resnet50");
    EXPECT_TRUE(std::get<Add>(op_named(network, "conv2_1c/add").attributes).relu);
    EXPECT_FALSE(std::get<BatchNorm>(op_named(network, "conv2_1c/bn").attributes).relu);
    EXPECT_FALSE(std::get<BatchNorm>(op_named(network, "conv2_1p/bn").attributes).relu);
    EXPECT_TRUE(std::get<BatchNorm>(op_named(network, "conv2_1b/bn").attributes).relu);
}

TEST(Zoo, AuxiliaryClassifiersWeighLessAndAreMarked) {
    const Network network = make_network("googlenet");
    EXPECT_EQ(std::get<SoftmaxLoss>(op_named(network, "aux1/loss").attributes).weight, 0.3F);
    EXPECT_EQ(std::get<SoftmaxLoss>(op_named(network, "output/loss").attributes).weight, 1.0F);
    for (const Layer& layer : network.layers()) {
        EXPECT_EQ(layer.auxiliary, layer.name.starts_with("aux")) << layer.name;
    }
}

TEST(Zoo, TakesOtherImageSizesAndClasses) {
    const Network network = make_network("lenet5", {.classes = 7, .image_size = 32});
    EXPECT_EQ(network.input(), (Shape{1, 32, 32}));
    EXPECT_EQ(op_named(network, "output/fc").output, (Shape{7, 1, 1}));
    EXPECT_EQ(op_named(make_network("resnet50", {.image_size = 160}), "conv5_3c/add").output,
              (Shape{2048, 5, 5}));
}

TEST(Zoo, DigestsTellNetworksApart) {
    const std::uint64_t digest = make_network("alexnet").digest();
    EXPECT_EQ(make_network("alexnet", {.classes = 1000, .image_size = 224}).digest(), digest);
    EXPECT_NE(make_network("alexnet", {.classes = 999}).digest(), digest);
    EXPECT_NE(make_network("alexnet", {.image_size = 225}).digest(), digest);
    EXPECT_NE(make_network("alexnet", {.normalization = Normalization::batch}).digest(), digest);
}

TEST(ZooErrors, UnknownNetworkNamesTheNearest) {
    const auto complaint = complaint_of([] { static_cast<void>(make_network("alexnt")); });
    EXPECT_EQ(complaint.code, ExitCode::configuration);
    EXPECT_EQ(complaint.message,
              "unknown network 'alexnt' (there are lenet5, alexnet, vgg11, vgg16, googlenet, "
              "resnet50); did you mean 'alexnet'?");
}

TEST(ZooErrors, NormalizationThatAnArchitectureLacks) {
    const auto complaint = complaint_of(
        [] { static_cast<void>(make_network("vgg16", {.normalization = Normalization::lrn})); });
    EXPECT_EQ(complaint.code, ExitCode::configuration);
    EXPECT_EQ(complaint.message,
              "vgg16 has no normalization 'lrn' (it has none, batch) change network.normalization");
}

TEST(ZooErrors, UnknownNormalization) {
    EXPECT_EQ(normalization_from("batch"), Normalization::batch);
    EXPECT_EQ(normalization_from("default"), Normalization::architecture_default);
    const auto complaint = complaint_of([] { static_cast<void>(normalization_from("bath")); });
    EXPECT_EQ(complaint.code, ExitCode::configuration);
    EXPECT_THAT(complaint.message, HasSubstr("did you mean 'batch'?"));
}

TEST(ZooErrors, ImageTooSmallNamesTheOperation) {
    const auto complaint =
        complaint_of([] { static_cast<void>(make_network("alexnet", {.image_size = 32})); });
    EXPECT_EQ(complaint.code, ExitCode::configuration);
    EXPECT_EQ(
        complaint.message,
        "image size 32 is too small for alexnet (conv5/pool gets 1x1 and needs 3x3) use a larger "
        "network.image_size");
}

TEST(ZooErrors, ClassesAndImageSizeOutOfRange) {
    for (const std::int64_t classes : {std::int64_t{1}, std::int64_t{-3}}) {
        const auto complaint =
            complaint_of([&] { static_cast<void>(make_network("lenet5", {.classes = classes})); });
        EXPECT_EQ(complaint.code, ExitCode::configuration);
        EXPECT_THAT(complaint.message,
                    AllOf(HasSubstr("network.classes"), HasSubstr("from 2 to 1000000")));
    }
    const auto complaint =
        complaint_of([] { static_cast<void>(make_network("lenet5", {.image_size = -1})); });
    EXPECT_EQ(complaint.code, ExitCode::configuration);
    EXPECT_THAT(complaint.message, HasSubstr("network.image_size = -1 is out of range"));
}

}  // namespace
}  // namespace layerledger
