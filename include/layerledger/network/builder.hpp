// How an architecture is written down: layer by layer, with shapes inferred on the way.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "layerledger/network/network.hpp"

namespace layerledger {

/// Every call appends one operation to the current layer and returns its output.
/// A window that does not fit its input throws Error{configuration} naming layer and shapes
/// ("image size 32 is too small for alexnet (conv3/pool gets 2x2 and needs 3x3) use ...").
/// A description that makes no sense (two losses, a name twice) throws Error{internal}.
class NetworkBuilder {
public:
    NetworkBuilder(std::string name, Shape image, std::int64_t classes);

    /// The images. Belongs to the first layer.
    [[nodiscard]] OpId input() const noexcept { return OpId{0}; }

    /// Begins a layer; operations that follow belong to it.
    NetworkBuilder& layer(std::string name);
    /// The same for an auxiliary classifier, which exists in training only.
    NetworkBuilder& auxiliary_layer(std::string name);

    // `name` is the part behind the slash: "conv" makes "conv1/conv".
    OpId convolution(OpId x, const Convolution& attributes, std::string_view name = "conv");
    OpId fully_connected(OpId x, const FullyConnected& attributes, std::string_view name = "fc");
    OpId batch_norm(OpId x, const BatchNorm& attributes, std::string_view name = "bn");
    OpId lrn(OpId x, const LocalResponseNorm& attributes = {}, std::string_view name = "lrn");
    OpId relu(OpId x, std::string_view name = "relu");
    OpId max_pool(OpId x, const Window& window, std::string_view name = "pool");
    OpId average_pool(OpId x, const Window& window, std::string_view name = "pool");
    OpId global_average_pool(OpId x, std::string_view name = "pool");
    OpId dropout(OpId x, float probability, std::string_view name = "dropout");
    OpId add(OpId a, OpId b, const Add& attributes = {}, std::string_view name = "add");
    OpId concat(std::initializer_list<OpId> xs, std::string_view name = "concat");
    OpId softmax_loss(OpId logits, float weight = 1.0F, std::string_view name = "loss");

    [[nodiscard]] Shape shape(OpId x) const { return network_.op(x).output; }

    /// Checks the whole (one main loss, unique names, no empty layer) and hands it over.
    [[nodiscard]] Network build() &&;

private:
    OpId append(std::string_view name, Attributes attributes, std::vector<OpId> inputs,
                Shape output);
    void add_parameter(OpId op, ParameterRole role, std::vector<std::int64_t> dims,
                       std::int64_t fan_in, std::int64_t fan_out);
    [[nodiscard]] Shape windowed(OpId x, const Window& window, std::int64_t channels,
                                 std::string_view name) const;
    void resolve_graph();
    void check() const;

    Network network_;
};

}  // namespace layerledger
