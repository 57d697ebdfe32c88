// He, Zhang, Ren, Sun: Deep residual learning for image recognition (2015), version 1.5: where a
// block halves the map, its 3x3 convolution does.
#include <array>

#include "architectures.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::architectures {
namespace {

/// A row of the paper's table 1: blocks of 1x1, 3x3 and 1x1 convolutions.
struct Stage {
    const char* name;
    std::int64_t blocks;
    std::int64_t inner;  // channels of the first two convolutions
    std::int64_t outer;  // of the third
    std::int64_t stride;
};

constexpr std::array stages{
    Stage{"conv2", 3, 64, 256, 1},
    Stage{"conv3", 4, 128, 512, 2},
    Stage{"conv4", 6, 256, 1024, 2},
    Stage{"conv5", 3, 512, 2048, 2},
};

OpId linear(NetworkBuilder& net, OpId x, std::int64_t channels, std::int64_t stride) {
    const Window window{.kernel = 1, .stride = stride};
    x = net.convolution(x, {.output_channels = channels, .window = window, .bias = false});
    return net.batch_norm(x, {});
}

/// The first block of a stage changes the shape, so its shortcut needs a projection.
OpId bottleneck(NetworkBuilder& net, OpId x, const std::string& name, const Stage& stage,
                bool first) {
    const Rectified rectified(net, Normalization::batch);
    const std::int64_t stride = first ? stage.stride : 1;
    net.layer(name + "a");
    OpId y = rectified.convolution(x, stage.inner, {.kernel = 1});
    net.layer(name + "b");
    y = rectified.convolution(y, stage.inner, {.kernel = 3, .stride = stride, .padding = 1});
    if (first) {
        net.layer(name + "p");
        x = linear(net, x, stage.outer, stride);
    }
    net.layer(name + "c");
    y = linear(net, y, stage.outer, 1);
    return net.add(y, x, {.relu = true});
}

Network make(const ZooOptions& options) {
    NetworkBuilder net("resnet50", {3, options.image_size, options.image_size}, options.classes);

    net.layer("conv1");
    const Rectified rectified(net, options.normalization);
    OpId x = rectified.convolution(net.input(), 64, {.kernel = 7, .stride = 2, .padding = 3});
    x = net.max_pool(x, {.kernel = 3, .stride = 2, .padding = 1});
    for (const Stage& stage : stages) {
        for (std::int64_t block = 1; block <= stage.blocks; ++block) {
            x = bottleneck(net, x, text(stage.name, "_", block), stage, block == 1);
        }
    }
    net.layer("output");
    classifier(net, net.global_average_pool(x), options.classes);
    return std::move(net).build();
}

}  // namespace

Architecture resnet50() {
    using enum Normalization;
    return {.name = "resnet50",
            .description = "He et al. 2015, version 1.5: stride in the 3x3 convolution",
            .variants = {Variant{batch, 224}},
            .make = make};
}

}  // namespace layerledger::architectures
