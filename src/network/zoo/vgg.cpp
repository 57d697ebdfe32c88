// Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition (2014),
// configurations A (11 layers) and D (16).
#include <vector>

#include "architectures.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::architectures {
namespace {

/// Convolutions of 3x3 by their channels; each inner list ends in a pool that halves the map.
using Stages = std::vector<std::vector<std::int64_t>>;

Network vgg(const char* name, const Stages& stages, const ZooOptions& options) {
    NetworkBuilder net(name, {3, options.image_size, options.image_size}, options.classes);
    const Rectified rectified(net, options.normalization);
    const float dropout = 0.5F;

    OpId x = net.input();
    int number = 0;
    for (const std::vector<std::int64_t>& stage : stages) {
        for (const std::int64_t channels : stage) {
            net.layer(text("conv", ++number));
            x = rectified.convolution(x, channels, {.kernel = 3, .padding = 1});
        }
        x = net.max_pool(x, {.kernel = 2, .stride = 2});
    }
    net.layer("fc1");
    x = rectified.fully_connected(x, 4096);
    net.layer("fc2");
    x = rectified.fully_connected(net.dropout(x, dropout), 4096);
    net.layer("output");
    classifier(net, net.dropout(x, dropout), options.classes);
    return std::move(net).build();
}

Network make_vgg11(const ZooOptions& options) {
    return vgg("vgg11", {{64}, {128}, {256, 256}, {512, 512}, {512, 512}}, options);
}

Network make_vgg16(const ZooOptions& options) {
    return vgg("vgg16", {{64, 64}, {128, 128}, {256, 256, 256}, {512, 512, 512}, {512, 512, 512}},
               options);
}

}  // namespace

Architecture vgg11() {
    using enum Normalization;
    return {.name = "vgg11",
            .description = "Simonyan and Zisserman 2014, configuration A",
            .variants = {Variant{none, 224}, Variant{batch, 224}},
            .make = make_vgg11};
}

Architecture vgg16() {
    using enum Normalization;
    return {.name = "vgg16",
            .description = "Simonyan and Zisserman 2014, configuration D",
            .variants = {Variant{none, 224}, Variant{batch, 224}},
            .make = make_vgg16};
}

}  // namespace layerledger::architectures
