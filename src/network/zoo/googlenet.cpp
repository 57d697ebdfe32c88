// Szegedy et al.: Going deeper with convolutions (2014), in the layout that BVLC shipped for Caffe:
// branches of 5x5, pools that round up.
#include "architectures.hpp"

namespace layerledger::architectures {
namespace {

/// A row of the paper's table 1: channels of the six convolutions of an inception layer.
struct Inception {
    std::int64_t conv1x1;
    std::int64_t reduce3x3;
    std::int64_t conv3x3;
    std::int64_t reduce5x5;
    std::int64_t conv5x5;
    std::int64_t pool_projection;
};

constexpr Window one{.kernel = 1};
constexpr Window halving{.kernel = 3, .stride = 2, .ceil_mode = true};
constexpr float auxiliary_weight = 0.3F;

class GoogLeNet {
public:
    explicit GoogLeNet(const ZooOptions& options)
        : net_("googlenet", {3, options.image_size, options.image_size}, options.classes),
          rectified_(net_, options.normalization),
          lrn_(options.normalization == Normalization::lrn),
          classes_(options.classes) {}

    Network build() && {
        OpId x = stem();
        x = inception("inception3a", x, {64, 96, 128, 16, 32, 32});
        x = inception("inception3b", x, {128, 128, 192, 32, 96, 64});
        x = net_.max_pool(x, halving, "downsample");
        x = inception("inception4a", x, {192, 96, 208, 16, 48, 64});
        auxiliary("aux1", x);
        x = inception("inception4b", x, {160, 112, 224, 24, 64, 64});
        x = inception("inception4c", x, {128, 128, 256, 24, 64, 64});
        x = inception("inception4d", x, {112, 144, 288, 32, 64, 64});
        auxiliary("aux2", x);
        x = inception("inception4e", x, {256, 160, 320, 32, 128, 128});
        x = net_.max_pool(x, halving, "downsample");
        x = inception("inception5a", x, {256, 160, 320, 32, 128, 128});
        x = inception("inception5b", x, {384, 192, 384, 48, 128, 128});
        net_.layer("output");
        classifier(net_, net_.dropout(net_.global_average_pool(x), 0.4F), classes_);
        return std::move(net_).build();
    }

private:
    OpId stem() {
        net_.layer("conv1");
        OpId x = rectified_.convolution(net_.input(), 64, {.kernel = 7, .stride = 2, .padding = 3});
        x = normalized(net_.max_pool(x, halving));
        net_.layer("conv2");
        x = rectified_.convolution(x, 64, one, "reduce");
        x = rectified_.convolution(x, 192, {.kernel = 3, .padding = 1});
        return net_.max_pool(normalized(x), halving);
    }

    OpId inception(const char* name, OpId x, const Inception& channels) {
        net_.layer(name);
        const OpId a = rectified_.convolution(x, channels.conv1x1, one, "1x1");
        OpId b = rectified_.convolution(x, channels.reduce3x3, one, "3x3_reduce");
        b = rectified_.convolution(b, channels.conv3x3, {.kernel = 3, .padding = 1}, "3x3");
        OpId c = rectified_.convolution(x, channels.reduce5x5, one, "5x5_reduce");
        c = rectified_.convolution(c, channels.conv5x5, {.kernel = 5, .padding = 2}, "5x5");
        OpId d = net_.max_pool(x, {.kernel = 3, .stride = 1, .padding = 1});
        d = rectified_.convolution(d, channels.pool_projection, one, "pool_projection");
        return net_.concat({a, b, c, d});
    }

    void auxiliary(const char* name, OpId x) {
        net_.auxiliary_layer(name);
        x = net_.average_pool(x, {.kernel = 5, .stride = 3, .ceil_mode = true});
        x = rectified_.convolution(x, 128, one);
        x = net_.fully_connected(x, {.outputs = 1024, .relu = true}, "hidden");
        x = net_.fully_connected(net_.dropout(x, 0.7F), {.outputs = classes_});
        net_.softmax_loss(x, auxiliary_weight);
    }

    OpId normalized(OpId x) { return lrn_ ? net_.lrn(x) : x; }

    NetworkBuilder net_;
    Rectified rectified_;
    bool lrn_;
    std::int64_t classes_;
};

Network make(const ZooOptions& options) {
    return GoogLeNet(options).build();
}

}  // namespace

Architecture googlenet() {
    using enum Normalization;
    return {.name = "googlenet",
            .description = "Szegedy et al. 2014, with two auxiliary classifiers",
            .variants = {Variant{lrn, 224}, Variant{none, 224}, Variant{batch, 224}},
            .make = make};
}

}  // namespace layerledger::architectures
