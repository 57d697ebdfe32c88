#include "layerledger/network/network.hpp"

#include <array>
#include <bit>
#include <functional>
#include <numeric>

#include "layerledger/base/fnv1a.hpp"

namespace layerledger {
namespace {

constexpr std::array<std::string_view, std::variant_size_v<Attributes>> kind_names{
    "input",    "convolution",  "fully_connected", "batch_norm", "lrn",    "relu",
    "max_pool", "average_pool", "dropout",         "add",        "concat", "softmax_loss"};

class Digest {
public:
    void feed(std::int64_t value) { digest_.add(static_cast<std::uint64_t>(value)); }
    void feed(float value) { feed(std::int64_t{std::bit_cast<std::int32_t>(value)}); }
    void feed(std::string_view words) {
        feed(static_cast<std::int64_t>(words.size()));
        digest_.add(words);
    }
    void feed(const Shape& shape) {
        feed(shape.channels);
        feed(shape.height);
        feed(shape.width);
    }
    void feed(const Window& window) {
        feed(window.kernel);
        feed(window.stride);
        feed(window.padding);
        feed(std::int64_t{window.ceil_mode});
    }

    void feed(const Input&) {}
    void feed(const Convolution& a) {
        feed(a.output_channels);
        feed(a.window);
        feed(a.groups);
        feed(std::int64_t{a.bias});
        feed(std::int64_t{a.relu});
    }
    void feed(const FullyConnected& a) {
        feed(a.outputs);
        feed(std::int64_t{a.relu});
    }
    void feed(const BatchNorm& a) {
        feed(std::int64_t{a.relu});
        feed(a.epsilon);
        feed(a.momentum);
    }
    void feed(const LocalResponseNorm& a) {
        feed(a.size);
        feed(a.alpha);
        feed(a.beta);
        feed(a.k);
    }
    void feed(const Relu&) {}
    void feed(const MaxPool& a) { feed(a.window); }
    void feed(const AveragePool& a) { feed(a.window); }
    void feed(const Dropout& a) { feed(a.probability); }
    void feed(const Add& a) { feed(std::int64_t{a.relu}); }
    void feed(const Concat&) {}
    void feed(const SoftmaxLoss& a) { feed(a.weight); }

    [[nodiscard]] std::uint64_t value() const noexcept { return digest_.value(); }

private:
    Fnv1a digest_;
};

}  // namespace

std::string_view kind_name(const Attributes& attributes) {
    return kind_names[attributes.index()];
}

std::int64_t Parameter::elements() const noexcept {
    return std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>{});
}

std::span<const Op> Network::ops_of(LayerId id) const {
    const Layer& of = layer(id);
    const std::size_t count = of.last_op.index() - of.first_op.index() + 1;
    return ops().subspan(of.first_op.index(), count);
}

std::int64_t Network::parameter_elements() const noexcept {
    std::int64_t sum = 0;
    for (const Parameter& parameter : parameters_) {
        sum += parameter.elements();
    }
    return sum;
}

// Layers, consumers and gradients follow from what is fed, save the names and flags of layers.
std::uint64_t Network::digest() const {
    Digest digest;
    digest.feed(name_);
    digest.feed(classes_);
    for (const Layer& layer : layers_) {
        digest.feed(layer.name);
        digest.feed(std::int64_t{layer.auxiliary});
    }
    for (const Op& op : ops_) {
        digest.feed(std::int64_t{op.layer.value});
        digest.feed(op.name);
        digest.feed(static_cast<std::int64_t>(op.attributes.index()));
        std::visit([&](const auto& attributes) { digest.feed(attributes); }, op.attributes);
        digest.feed(static_cast<std::int64_t>(op.inputs.size()));
        for (const OpId input : op.inputs) {
            digest.feed(std::int64_t{input.value});
        }
        digest.feed(op.output);
    }
    for (const Parameter& parameter : parameters_) {
        digest.feed(parameter.name);
        digest.feed(static_cast<std::int64_t>(parameter.dims.size()));
        for (const std::int64_t extent : parameter.dims) {
            digest.feed(extent);
        }
        digest.feed(parameter.fan_in);
        digest.feed(parameter.fan_out);
        digest.feed(std::int64_t{parameter.rectified});
    }
    return digest.value();
}

}  // namespace layerledger
