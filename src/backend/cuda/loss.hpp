// The loss, from which the batch's metrics come.
#pragma once

#include "operation.hpp"

namespace layerledger::cuda {

class LossOperation final : public Operation {
public:
    LossOperation(Plan& plan, const Op& op, const SoftmaxLoss& attributes);

    void prepare_backward(Plan& plan) override { target_ = plan.target(op_.inputs[0]); }
    void forward(Mode mode) override;
    void backward() override;

    /// Adds up the first `valid` images of the newest forward pass into device memory.
    void sum(std::int64_t valid, BatchMetrics* sums) const;
    [[nodiscard]] std::vector<float> losses() const;

private:
    const Plan& plan_;
    const Op& op_;
    float share_;  // of the objective that an image has
    const Tensor& x_;
    std::int64_t classes_;
    kernels::LossArrays arrays_;
    GradientTarget target_;
};

}  // namespace layerledger::cuda
