// LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition (1998),
// with rectifiers and max pooling in place of sigmoids and trained subsampling.
#include "architectures.hpp"

namespace layerledger::architectures {

namespace {

Network make(const ZooOptions& options) {
    NetworkBuilder net("lenet5", {1, options.image_size, options.image_size}, options.classes);
    const Rectified rectified(net, options.normalization);
    const Window pool{.kernel = 2, .stride = 2};

    OpId x = net.input();
    net.layer("conv1");
    x = rectified.convolution(x, 6, {.kernel = 5, .padding = 2});
    x = net.max_pool(x, pool);
    net.layer("conv2");
    x = rectified.convolution(x, 16, {.kernel = 5});
    x = net.max_pool(x, pool);
    net.layer("fc1");
    x = rectified.fully_connected(x, 120);
    net.layer("fc2");
    x = rectified.fully_connected(x, 84);
    net.layer("output");
    classifier(net, x, options.classes);
    return std::move(net).build();
}

}  // namespace

Architecture lenet5() {
    using enum Normalization;
    return {.name = "lenet5",
            .description = "LeCun et al. 1998, with rectifiers and max pooling",
            .channels = 1,
            .classes = 10,
            .variants = {Variant{none, 28}, Variant{batch, 28}},
            .make = make};
}

}  // namespace layerledger::architectures
