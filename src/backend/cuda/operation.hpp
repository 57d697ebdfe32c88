// One operation, ready to run on the GPU.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "plan.hpp"

namespace layerledger::cuda {

/// Running statistics of an operation: `count` floats behind each of two pointers.
struct Statistics {
    float* mean = nullptr;
    float* variance = nullptr;
    std::int64_t channels = 0;  ///< without padding
};

class Operation {
public:
    virtual ~Operation() = default;

    /// Says where gradients go. Called in the order in which backward will run.
    virtual void prepare_backward(Plan& plan) = 0;
    virtual void forward(Mode mode) = 0;
    virtual void backward() = 0;

    [[nodiscard]] virtual Statistics statistics() const noexcept { return {}; }
    /// Does training draw random numbers here?
    [[nodiscard]] virtual bool draws() const noexcept { return false; }
    [[nodiscard]] const std::string& algorithm() const noexcept { return algorithm_; }
    [[nodiscard]] std::size_t workspace_bytes() const noexcept { return workspace_bytes_; }

protected:
    std::string algorithm_ = "own kernel";
    std::size_t workspace_bytes_ = 0;
};

using OperationPointer = std::unique_ptr<Operation>;

/// A convolution whose groups are no multiple of the padding.
[[nodiscard]] OperationPointer prepare_odd_groups(Plan&, const Op&, const Convolution&);

// One for each kind of operation, each in the file of its family.
[[nodiscard]] OperationPointer prepare(Plan&, const Op&, const Input&);
[[nodiscard]] OperationPointer prepare(Plan&, const Op&, const Convolution&);
[[nodiscard]] OperationPointer prepare(Plan&, const Op&, const FullyConnected&);
[[nodiscard]] OperationPointer prepare(Plan&, const Op&, const BatchNorm&);
[[nodiscard]] OperationPointer prepare(Plan&, const Op&, const LocalResponseNorm&);
[[nodiscard]] OperationPointer prepare(Plan&, const Op&, const Relu&);
[[nodiscard]] OperationPointer prepare(Plan&, const Op&, const MaxPool&);
[[nodiscard]] OperationPointer prepare(Plan&, const Op&, const AveragePool&);
[[nodiscard]] OperationPointer prepare(Plan&, const Op&, const Dropout&);
[[nodiscard]] OperationPointer prepare(Plan&, const Op&, const Add&);
[[nodiscard]] OperationPointer prepare(Plan&, const Op&, const Concat&);
[[nodiscard]] OperationPointer prepare(Plan&, const Op&, const SoftmaxLoss&);

}  // namespace layerledger::cuda
