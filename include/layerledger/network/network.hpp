// What a CNN is, without saying how it is computed: operations, the layers they belong to, the
// shapes between them and the parameters they learn.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "layerledger/base/ids.hpp"

namespace layerledger {

/// The extent of one image (or feature map) in a batch.
struct Shape {
    std::int64_t channels = 0;
    std::int64_t height = 1;
    std::int64_t width = 1;

    [[nodiscard]] std::int64_t elements() const noexcept { return channels * height * width; }
    friend bool operator==(const Shape&, const Shape&) = default;
};

/// A square sliding window. Output extent: floor or ceil of (in + 2*padding - kernel)/stride, + 1.
struct Window {
    std::int64_t kernel = 1;
    std::int64_t stride = 1;
    std::int64_t padding = 0;
    bool ceil_mode = false;  ///< count a window that hangs over the edge (Caffe's pooling)
};

// The operations. `relu = true` means that a rectifier follows inside the same operation.
struct Input {};
struct Convolution {
    std::int64_t output_channels = 0;
    Window window{};
    std::int64_t groups = 1;
    bool bias = true;
    bool relu = false;
};
struct FullyConnected {
    std::int64_t outputs = 0;
    bool relu = false;
};
/// y = scale * (x - mean) / sqrt(variance + epsilon) + shift, statistics of this rank's batch.
struct BatchNorm {
    bool relu = false;
    float epsilon = 1e-5F;
    float momentum = 0.1F;  ///< running = (1 - momentum) * running + momentum * batch statistic
};
/// y = x / (k + alpha / size * sum of squares over `size` channels)^beta
struct LocalResponseNorm {
    std::int64_t size = 5;
    float alpha = 1e-4F;
    float beta = 0.75F;
    float k = 1.0F;
};
struct Relu {};
struct MaxPool {
    Window window{};
};
/// The mean over the window; elements of the padding do not count.
struct AveragePool {
    Window window{};
};
/// Training: zero with `probability`, else divide by (1 - probability). Inference: identity.
struct Dropout {
    float probability = 0.5F;
};
struct Add {
    bool relu = false;
};
struct Concat {};
/// Softmax, then the mean over the batch of -log p(label), times `weight`.
struct SoftmaxLoss {
    float weight = 1.0F;
};

using Attributes = std::variant<Input, Convolution, FullyConnected, BatchNorm, LocalResponseNorm,
                                Relu, MaxPool, AveragePool, Dropout, Add, Concat, SoftmaxLoss>;

/// "convolution", "max_pool", ...: the name of the alternative, as written to the run file.
[[nodiscard]] std::string_view kind_name(const Attributes& attributes);

enum class ParameterRole : unsigned char { weight, bias, scale, shift };

/// One learned tensor. Convolution weights are [K, C/groups, R, S], fully connected weights
/// [outputs, C*H*W], the rest [channels].
struct Parameter {
    ParameterId id;
    OpId op;
    std::string name;  ///< "conv1/conv/weight"
    ParameterRole role = ParameterRole::weight;
    std::vector<std::int64_t> dims;
    std::int64_t fan_in = 0;  ///< of the operation: C/groups*R*S or C*H*W; 0 in batch_norm
    std::int64_t fan_out = 0;
    bool rectified = false;  ///< a rectifier follows: He initialization, else Xavier

    [[nodiscard]] std::int64_t elements() const noexcept;
};

/// One operation. `inputs` name earlier operations only, so the order of ops is an execution order.
struct Op {
    OpId id;
    LayerId layer;
    std::string name;  ///< "conv1/conv"
    Attributes attributes;
    std::vector<OpId> inputs;
    Shape output;
    std::vector<ParameterId> parameters;
};

/// What users call a layer: a run of consecutive operations under one name.
struct Layer {
    LayerId id;
    std::string name;  ///< "conv1"
    std::string kind;  ///< kind of its heaviest operation: "convolution", "fully_connected"
    OpId first_op;
    OpId last_op;            ///< inclusive
    bool auxiliary = false;  ///< an extra classifier that exists in training only
};

/// A checked, complete network. Made by NetworkBuilder.
class Network {
public:
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] Shape input() const noexcept { return ops_.front().output; }
    [[nodiscard]] std::int64_t classes() const noexcept { return classes_; }

    [[nodiscard]] std::span<const Op> ops() const noexcept { return ops_; }
    [[nodiscard]] std::span<const Layer> layers() const noexcept { return layers_; }
    [[nodiscard]] std::span<const Parameter> parameters() const noexcept { return parameters_; }

    [[nodiscard]] const Op& op(OpId id) const { return ops_.at(id.index()); }
    [[nodiscard]] const Layer& layer(LayerId id) const { return layers_.at(id.index()); }
    [[nodiscard]] const Parameter& parameter(ParameterId id) const {
        return parameters_.at(id.index());
    }
    /// The operations of a layer in execution order.
    [[nodiscard]] std::span<const Op> ops_of(LayerId id) const;
    /// Who reads the output of `id`, in execution order.
    [[nodiscard]] std::span<const OpId> consumers(OpId id) const {
        return consumers_.at(id.index());
    }
    /// True where backward has to produce a gradient for this output: it depends on a parameter.
    [[nodiscard]] bool needs_gradient(OpId id) const { return needs_gradient_.at(id.index()); }
    [[nodiscard]] std::int64_t parameter_elements() const noexcept;

    /// A digest of everything above: equal on two ranks if and only if they build the same network.
    [[nodiscard]] std::uint64_t digest() const;

private:
    friend class NetworkBuilder;
    Network() = default;

    std::string name_;
    std::int64_t classes_ = 0;
    std::vector<Op> ops_;
    std::vector<Layer> layers_;
    std::vector<Parameter> parameters_;
    std::vector<std::vector<OpId>> consumers_;
    std::vector<bool> needs_gradient_;
};

}  // namespace layerledger
