// One direction of a convolution, as one of cuDNN's engines computes it. The one place that calls
// cuDNN's convolutions, through its graph interface.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cudnn_descriptor.hpp"
#include "kernels/kernels.hpp"
#include "layerledger/device/backend.hpp"

namespace layerledger::cuda {

enum class Direction : unsigned char { forward, data, weights };

struct ConvolutionProblem {
    kernels::Extent x;  ///< channels with padding, as all here
    kernels::Extent y;
    std::int64_t kernel = 1;
    std::int64_t stride = 1;
    std::int64_t padding = 0;
    std::int64_t groups = 1;
    kernels::Type type = kernels::Type::fp32;
    Precision precision = Precision::fp32;
    bool deterministic = false;
    Direction direction = Direction::forward;
    bool accumulate = false;  ///< the result is added to what is there

    [[nodiscard]] std::int64_t weights() const noexcept {
        return y.channels * (x.channels / groups) * kernel * kernel;
    }
};

/// "a convolution 128x64x56x56 to 128x64x56x56, kernel 3x3, ..., forward, in bf16": NxCxHxW.
[[nodiscard]] std::string to_text(const ConvolutionProblem& problem);

/// The engines that cuDNN proposes for `problem` on `device` and that keep its precision and
/// determinism: "engine 39 (k2=1 k5=3)", an engine's number and its knobs'. What cuDNN holds for
/// the fastest comes first.
[[nodiscard]] std::vector<std::string> proposed_engines(const CudnnDescriptor& device,
                                                        const ConvolutionProblem& problem,
                                                        cudnnBackendHeurMode_t heuristics);

/// Values and gradients alike.
struct ConvolutionMemory {
    const void* x = nullptr;
    const void* w = nullptr;
    const void* y = nullptr;
    void* workspace = nullptr;

    [[nodiscard]] bool operator==(const ConvolutionMemory&) const = default;
};

class ConvolutionPlan {
public:
    /// Throws Error where the engine cannot do it.
    ConvolutionPlan(const CudnnDescriptor& device, const ConvolutionProblem& problem,
                    const std::string& engine);

    /// "engine 39 (k2=1 k5=3) on tensor cores"
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] std::size_t workspace_bytes() const noexcept { return workspace_bytes_; }

    void execute(cudnnHandle_t cudnn, const ConvolutionMemory& memory);

private:
    void bind(const ConvolutionMemory& memory);

    CudnnDescriptor plan_;
    CudnnDescriptor pack_;
    ConvolutionMemory bound_;
    std::string name_;
    std::size_t workspace_bytes_ = 0;
};

}  // namespace layerledger::cuda
