// Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks
// (2012), and the layout for one device of Krizhevsky: One weird trick for parallelizing
// convolutional neural networks (2014).
#include <array>

#include "architectures.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::architectures {
namespace {

struct Row {
    std::int64_t channels;
    Window window;
    std::int64_t groups;
    bool pool;
};

constexpr std::array layout_2012{
    Row{96, {.kernel = 11, .stride = 4}, 1, true},
    Row{256, {.kernel = 5, .padding = 2}, 2, true},
    Row{384, {.kernel = 3, .padding = 1}, 1, false},
    Row{384, {.kernel = 3, .padding = 1}, 2, false},
    Row{256, {.kernel = 3, .padding = 1}, 2, true},
};

constexpr std::array layout_2014{
    Row{64, {.kernel = 11, .stride = 4, .padding = 2}, 1, true},
    Row{192, {.kernel = 5, .padding = 2}, 1, true},
    Row{384, {.kernel = 3, .padding = 1}, 1, false},
    Row{256, {.kernel = 3, .padding = 1}, 1, false},
    Row{256, {.kernel = 3, .padding = 1}, 1, true},
};

Network make(const ZooOptions& options) {
    NetworkBuilder net("alexnet", {3, options.image_size, options.image_size}, options.classes);
    const Rectified rectified(net, options.normalization);
    const bool of_2012 = options.normalization == Normalization::lrn;
    const float dropout = 0.5F;

    OpId x = net.input();
    int number = 0;
    for (const Row& row : of_2012 ? layout_2012 : layout_2014) {
        net.layer(text("conv", ++number));
        x = rectified.grouped_convolution(x, row.channels, row.window, row.groups);
        if (of_2012 && number <= 2) {
            x = net.lrn(x);
        }
        if (row.pool) {
            x = net.max_pool(x, {.kernel = 3, .stride = 2});
        }
    }
    // Dropout stands behind both hidden layers in 2012, in front of both in 2014.
    net.layer("fc1");
    x = rectified.fully_connected(of_2012 ? x : net.dropout(x, dropout), 4096);
    net.layer("fc2");
    x = rectified.fully_connected(net.dropout(x, dropout), 4096);
    net.layer("output");
    classifier(net, of_2012 ? net.dropout(x, dropout) : x, options.classes);
    return std::move(net).build();
}

}  // namespace

Architecture alexnet() {
    using enum Normalization;
    return {.name = "alexnet",
            .description = "Krizhevsky 2014, one tower; with lrn the original of 2012",
            .variants = {Variant{none, 224}, Variant{batch, 224}, Variant{lrn, 227}},
            .make = make};
}

}  // namespace layerledger::architectures
