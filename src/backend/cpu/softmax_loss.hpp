// The loss, and what it says about the newest batch.
#pragma once

#include "compiled_op.hpp"

namespace layerledger::cpu {

/// Output: -log p(label) of each image, without the weight.
class SoftmaxLossOp final : public CompiledOp {
public:
    SoftmaxLossOp(Program& program, const Op& op, const SoftmaxLoss& attributes);

    void assemble_backward(Program& program) override;

    /// Sums over the valid images of the newest forward pass.
    [[nodiscard]] BatchMetrics metrics() const;

private:
    void compute_losses();
    void compute_gradient(float* gradient) const;

    const Op& op_;
    Program& program_;
    double weight_;
    std::int64_t batch_;
    std::int64_t classes_;
    Memory logits_;  // fp32, row-major
    Memory losses_;
    std::vector<double> log_sums_;     // log of the sum of exponentials, per image
    std::vector<std::int64_t> ranks_;  // classes that score above the label
};

}  // namespace layerledger::cpu
