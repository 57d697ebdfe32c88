// The one place that calls cuDNN's convolutions. They are of its legacy interface, which cuDNN 9
// ships and marks as deprecated.
#pragma once

#include <cstdint>
#include <string>

#include "gpu.hpp"
#include "kernels/kernels.hpp"
#include "layerledger/device/backend.hpp"

namespace layerledger::cuda {

struct ConvolutionShape {
    kernels::Extent x;  ///< channels with padding, as all here
    kernels::Extent y;
    std::int64_t kernel = 1;
    std::int64_t stride = 1;
    std::int64_t padding = 0;
    std::int64_t groups = 1;
    kernels::Type type = kernels::Type::fp32;
    Precision precision = Precision::fp32;
};

enum class Direction : unsigned char { forward, data, weights };

/// "a convolution 128x64x56x56 to 128x64x56x56, kernel 3x3, ..., forward, in bf16": NxCxHxW.
[[nodiscard]] std::string to_text(const ConvolutionShape& shape, Direction direction);

/// How cuDNN computes one direction of a convolution.
struct ConvolutionChoice {
    int algorithm = -1;  ///< cuDNN's number; -1: none
    int math = 0;
    std::size_t workspace_bytes = 0;
};

class ConvolutionDescriptors {
public:
    ConvolutionDescriptors(const Gpu& gpu, const ConvolutionShape& shape);
    ConvolutionDescriptors(const ConvolutionDescriptors&) = delete;
    ConvolutionDescriptors& operator=(const ConvolutionDescriptors&) = delete;
    ~ConvolutionDescriptors();

    /// The fastest one by trial. Takes memory of its own for it. Throws Error{unavailable} where
    /// cuDNN has none.
    [[nodiscard]] ConvolutionChoice find(Direction direction) const;
    void choose(Direction direction, const ConvolutionChoice& choice);

    /// "implicit_precomp_gemm on tensor cores"
    [[nodiscard]] std::string name(Direction direction) const;
    [[nodiscard]] std::size_t workspace_bytes() const noexcept;

    void forward(const void* x, const void* w, void* y, void* workspace) const;
    void backward_data(const void* w, const void* dy, void* dx, bool accumulate,
                       void* workspace) const;
    void backward_weights(const void* x, const void* dy, void* dw, void* workspace) const;

private:
    [[nodiscard]] cudnnConvolutionDescriptor_t convolution(Direction direction) const noexcept {
        return convolutions_[static_cast<std::size_t>(direction)];
    }
    [[nodiscard]] const ConvolutionChoice& choice(Direction direction) const noexcept {
        return choices_[static_cast<std::size_t>(direction)];
    }

    const Gpu& gpu_;
    ConvolutionShape shape_;
    cudnnTensorDescriptor_t x_ = nullptr;
    cudnnTensorDescriptor_t y_ = nullptr;
    cudnnFilterDescriptor_t w_ = nullptr;
    // One for each direction: a descriptor that changes between calls would be prepared anew.
    cudnnConvolutionDescriptor_t convolutions_[3] = {};
    ConvolutionChoice choices_[3];
};

}  // namespace layerledger::cuda
