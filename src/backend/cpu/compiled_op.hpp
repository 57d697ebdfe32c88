// One operation, ready to run.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "program.hpp"

namespace layerledger::cpu {

class CompiledOp {
public:
    virtual ~CompiledOp() = default;

    /// Called in reverse order of execution, after `Program::collect_gradient` for this operation.
    virtual void assemble_backward(Program& program) = 0;

    void forward(Mode mode) const {
        (mode == Mode::inference && inference_ ? *inference_ : forward_).run();
    }
    void backward() const { backward_.run(); }
    /// Where the sum of the gradients from all readers goes, before anything else.
    [[nodiscard]] Sequence& backward_sequence() noexcept { return backward_; }

    /// Statistics that training keeps beside the parameters.
    [[nodiscard]] virtual std::span<float> state() noexcept { return {}; }
    [[nodiscard]] const std::string& algorithm() const noexcept { return algorithm_; }
    [[nodiscard]] std::size_t workspace_bytes() const noexcept { return workspace_bytes_; }

protected:
    Sequence forward_;
    Sequence backward_;
    std::optional<Sequence> inference_;  ///< where inference differs
    std::string algorithm_;
    std::size_t workspace_bytes_ = 0;
};

/// Compiles the forward pass of `op`; its inputs have been compiled before.
[[nodiscard]] std::unique_ptr<CompiledOp> compile_op(Program& program, const Op& op);

// One for each kind of operation, each in the file of its family.
using OpPointer = std::unique_ptr<CompiledOp>;
[[nodiscard]] OpPointer compile(Program&, const Op&, const Input&);
[[nodiscard]] OpPointer compile(Program&, const Op&, const Convolution&);
[[nodiscard]] OpPointer compile(Program&, const Op&, const FullyConnected&);
[[nodiscard]] OpPointer compile(Program&, const Op&, const BatchNorm&);
[[nodiscard]] OpPointer compile(Program&, const Op&, const LocalResponseNorm&);
[[nodiscard]] OpPointer compile(Program&, const Op&, const Relu&);
[[nodiscard]] OpPointer compile(Program&, const Op&, const MaxPool&);
[[nodiscard]] OpPointer compile(Program&, const Op&, const AveragePool&);
[[nodiscard]] OpPointer compile(Program&, const Op&, const Dropout&);
[[nodiscard]] OpPointer compile(Program&, const Op&, const Add&);
[[nodiscard]] OpPointer compile(Program&, const Op&, const Concat&);
[[nodiscard]] OpPointer compile(Program&, const Op&, const SoftmaxLoss&);

}  // namespace layerledger::cpu
