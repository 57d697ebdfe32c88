// One operation, ready to run.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

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
    /// How many times random numbers were drawn; nothing where none are.
    [[nodiscard]] virtual std::uint64_t* draws() noexcept { return nullptr; }
    /// Of the forward pass, and of the backward passes where another is among them:
    /// "jit_wino_4x3:avx512_core; backward jit:avx512_core".
    [[nodiscard]] std::string algorithm() const;
    /// What forward keeps for backward, and the scratch memory of the most demanding primitive
    /// (all operations have theirs in the same place).
    [[nodiscard]] std::size_t workspace_bytes() const noexcept;

protected:
    /// Appends to the backward sequence a primitive that deserves mention in `algorithm`.
    template <class Primitive>
    void add_backward(Program& program, const typename Primitive::primitive_desc& pass,
                      std::vector<Sequence::Argument> arguments) {
        backward_algorithms_.emplace_back(pass.impl_info_str());
        program.add<Primitive>(backward_, pass, std::move(arguments));
    }

    Sequence forward_;
    Sequence backward_;
    std::optional<Sequence> inference_;  ///< where inference differs
    std::string algorithm_;              ///< of forward
    std::size_t workspace_bytes_ = 0;

private:
    std::vector<std::string> backward_algorithms_;
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
