#include "loss.hpp"

namespace layerledger::cuda {

LossOperation::LossOperation(Plan& plan, const Op& op, const SoftmaxLoss& attributes)
    : plan_(plan),
      op_(op),
      share_(attributes.weight / static_cast<float>(plan.options().batch)),
      x_(plan.tensor(op.inputs[0])),
      classes_(plan.network().classes()) {
    const auto images = static_cast<std::size_t>(plan.options().batch);
    arrays_.losses = static_cast<float*>(plan.allocate(images * sizeof(float)));
    arrays_.log_sums = static_cast<float*>(plan.allocate(images * sizeof(float)));
    arrays_.ranks = static_cast<std::int32_t*>(plan.allocate(images * sizeof(std::int32_t)));
    arrays_.labels = plan.labels();
    workspace_bytes_ = images * (sizeof(float) + sizeof(std::int32_t));
}

void LossOperation::forward(Mode) {
    kernels::loss_forward(plan_.type(), x_.data, classes_, x_.extent.channels, x_.extent.images,
                          arrays_, plan_.stream());
}

void LossOperation::backward() {
    if (target_.data != nullptr) {
        kernels::loss_backward(plan_.type(), x_.data, target_.data, classes_, x_.extent.channels,
                               x_.extent.images, share_, arrays_, target_.accumulate,
                               plan_.stream());
    }
}

void LossOperation::sum(std::int64_t valid, BatchMetrics* sums) const {
    kernels::loss_sums(arrays_, valid, plan_.options().topk, sums, plan_.stream());
}

std::vector<float> LossOperation::losses() const {
    std::vector<float> values(static_cast<std::size_t>(x_.extent.images));
    LL_CUDA(cudaMemcpyAsync(values.data(), arrays_.losses, values.size() * sizeof(float),
                            cudaMemcpyDeviceToHost, plan_.stream()));
    LL_CUDA(cudaStreamSynchronize(plan_.stream()));
    return values;
}

OperationPointer prepare(Plan& plan, const Op& op, const SoftmaxLoss& attributes) {
    return std::make_unique<LossOperation>(plan, op, attributes);
}

}  // namespace layerledger::cuda
