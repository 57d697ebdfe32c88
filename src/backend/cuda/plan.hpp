// What a network's operations share: where tensors, parameters and scratch memory are. Everything
// is allocated here, once, when the network is compiled.
#pragma once

#include <algorithm>
#include <vector>

#include "convolution_engines.hpp"
#include "gpu.hpp"
#include "handles.hpp"
#include "kernels/kernels.hpp"
#include "layerledger/network/network.hpp"

namespace layerledger::cuda {

/// The output of an operation, NHWC with padded channels, and the gradient with respect to it.
struct Tensor {
    kernels::Extent extent;
    std::int64_t channels = 0;  ///< without padding
    void* data = nullptr;
    void* gradient = nullptr;
    std::size_t bytes = 0;
};

/// Where an operation's backward pass leaves the gradient of one of its inputs.
struct GradientTarget {
    void* data = nullptr;     ///< null where nobody wants it
    bool accumulate = false;  ///< another reader has left its share there
};

/// A parameter in the arena. `rows` (output channels) and `columns` are padded: the network's
/// [K, C/groups, R, S] lies as [rows][R*S][columns], a vector of [channels] as [rows].
struct ParameterPlace {
    std::int64_t rows = 0;
    std::int64_t spots = 1;  ///< R*S, or H*W of a fully connected layer's input
    std::int64_t columns = 1;
    float* values = nullptr;
    float* gradient = nullptr;
    const void* typed = nullptr;  ///< the values in the type of the activations

    [[nodiscard]] std::size_t storage() const noexcept {
        constexpr std::size_t line = 16;
        return (static_cast<std::size_t>(rows * spots * columns) + line - 1) / line * line;
    }
};

class Plan {
public:
    Plan(Gpu& gpu, ConvolutionEngines& engines, const Network& network,
         const CompileOptions& options);
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;
    ~Plan();

    [[nodiscard]] Gpu& gpu() const noexcept { return gpu_; }
    [[nodiscard]] cudaStream_t stream() const noexcept { return gpu_.compute().get(); }
    [[nodiscard]] const Network& network() const noexcept { return network_; }
    [[nodiscard]] const CompileOptions& options() const noexcept { return options_; }
    [[nodiscard]] kernels::Type type() const noexcept { return type_; }
    [[nodiscard]] ConvolutionEngines& engines() noexcept { return engines_; }

    [[nodiscard]] Tensor& tensor(OpId op) { return tensors_[op.index()]; }
    [[nodiscard]] const Tensor& tensor(OpId op) const { return tensors_[op.index()]; }
    [[nodiscard]] bool wants_gradient(OpId op) const {
        return !options_.inference_only &&
               (options_.gradients_of_input || network_.needs_gradient(op));
    }
    /// Called in the order in which backward will run.
    [[nodiscard]] GradientTarget target(OpId input);
    /// The same for one input of an addition, `reader`: true where the gradient of `input` shares
    /// the memory of the sum's, or is not wanted, so that nothing is left to do.
    [[nodiscard]] bool hand_on(OpId input, OpId reader, OpId other, GradientTarget& target);

    [[nodiscard]] ParameterPlace& parameter(ParameterId id) { return parameters_[id.index()]; }
    [[nodiscard]] const ParameterPlace& parameter(ParameterId id) const {
        return parameters_[id.index()];
    }
    void bind(DeviceSpan parameters, DeviceSpan gradients, std::span<const std::size_t> offsets);

    /// Memory of its own for an operation.
    [[nodiscard]] void* allocate(std::size_t bytes);
    /// Memory that all operations use one after the other: what is asked for before `finish`, there
    /// after it.
    void want_workspace(std::size_t bytes) { workspace_bytes_ = std::max(workspace_bytes_, bytes); }
    void want_sums(std::int64_t channels);
    void want_weights(std::size_t elements) {
        weight_elements_ = std::max(weight_elements_, elements);
    }
    void finish();
    [[nodiscard]] void* workspace() const noexcept { return workspace_.data(); }
    [[nodiscard]] std::size_t workspace_bytes() const noexcept { return workspace_.bytes(); }
    [[nodiscard]] float* sums() const noexcept { return sums_.as<float>(); }
    /// The gradient of a convolution's weights in the type of the activations.
    [[nodiscard]] void* weight_gradient() const noexcept { return weight_gradient_.data(); }

    [[nodiscard]] std::int32_t* labels() const noexcept { return labels_.as<std::int32_t>(); }
    /// How many training passes have begun: each draws random numbers of its own.
    [[nodiscard]] std::uint64_t draws() const noexcept { return draws_; }
    void set_draws(std::uint64_t draws) noexcept { draws_ = draws; }
    [[nodiscard]] std::size_t allocated_bytes() const noexcept { return allocated_bytes_; }

private:
    Gpu& gpu_;
    const Network& network_;
    CompileOptions options_;
    kernels::Type type_;
    ConvolutionEngines& engines_;
    std::vector<Tensor> tensors_;
    std::vector<bool> written_;  // by op: its gradient has been asked for
    std::vector<ParameterPlace> parameters_;
    std::vector<DeviceMemory> memory_;
    std::uint64_t draws_ = 0;
    std::size_t allocated_bytes_ = 0;
    std::size_t workspace_bytes_ = 0;
    std::size_t sum_floats_ = 0;
    std::size_t weight_elements_ = 0;
    DeviceMemory workspace_;
    DeviceMemory sums_;
    DeviceMemory weight_gradient_;
    DeviceMemory labels_;
    DeviceSpan bound_;
};

/// `count` rounded up to the padding of channels.
[[nodiscard]] constexpr std::int64_t padded(std::int64_t count, kernels::Type type) noexcept {
    const std::int64_t unit = kernels::vector(type);
    return (count + unit - 1) / unit * unit;
}

[[nodiscard]] kernels::Extent extent_of(const Shape& shape, std::int64_t batch, kernels::Type type);

/// Whether the backward pass of an operation leaves the gradient of its output as it is.
[[nodiscard]] bool only_reads_its_gradient(const Op& op);

/// How a parameter lies in memory.
[[nodiscard]] ParameterPlace place_of(const Network& network, const Parameter& parameter,
                                      kernels::Type type);

}  // namespace layerledger::cuda
