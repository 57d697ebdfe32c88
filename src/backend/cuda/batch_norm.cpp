#include "layerledger/base/contract.hpp"
#include "operation.hpp"

namespace layerledger::cuda {
namespace {

class BatchNormOperation final : public Operation {
public:
    BatchNormOperation(Plan& plan, const Op& op, const BatchNorm& attributes)
        : plan_(plan),
          op_(op),
          attributes_(attributes),
          x_(plan.tensor(op.inputs[0])),
          y_(plan.tensor(op.id)) {
        const auto bytes = static_cast<std::size_t>(y_.extent.channels) * sizeof(float);
        for (float** array :
             {&arrays_.running_mean, &arrays_.running_variance, &arrays_.mean, &arrays_.inverse}) {
            *array = static_cast<float*>(plan.allocate(bytes));
        }
        const std::vector<float> ones(static_cast<std::size_t>(y_.extent.channels), 1.0F);
        LL_CUDA(cudaMemcpy(arrays_.running_variance, ones.data(), bytes, cudaMemcpyHostToDevice));
        plan.want_sums(y_.extent.channels);
        workspace_bytes_ = 2 * bytes;
    }

    void prepare_backward(Plan& plan) override { target_ = plan.target(op_.inputs[0]); }
    void forward(Mode mode) override {
        const kernels::BatchNormArrays arrays = bound();
        if (mode == Mode::training) {
            kernels::batch_norm_training(plan_.type(), x_.data, y_.data, attributes_.relu,
                                         attributes_.epsilon, attributes_.momentum, arrays,
                                         y_.extent, plan_.stream());
        } else {
            kernels::batch_norm_inference(plan_.type(), x_.data, y_.data, attributes_.relu,
                                          attributes_.epsilon, arrays, y_.extent, plan_.stream());
        }
    }
    void backward() override {
        // The sums are the parameters' gradients, and the input's gradient needs them.
        kernels::batch_norm_backward(plan_.type(), x_.data, y_.data, y_.gradient, target_.data,
                                     attributes_.relu, plan_.parameter(op_.parameters[0]).gradient,
                                     plan_.parameter(op_.parameters[1]).gradient, bound(),
                                     target_.accumulate, y_.extent, plan_.stream());
    }
    [[nodiscard]] Statistics statistics() const noexcept override {
        return {arrays_.running_mean, arrays_.running_variance, y_.channels};
    }

private:
    [[nodiscard]] kernels::BatchNormArrays bound() const {
        kernels::BatchNormArrays arrays = arrays_;
        arrays.scale = plan_.parameter(op_.parameters[0]).values;
        arrays.shift = plan_.parameter(op_.parameters[1]).values;
        arrays.partial = plan_.sums();
        return arrays;
    }

    const Plan& plan_;
    const Op& op_;
    BatchNorm attributes_;
    const Tensor& x_;
    const Tensor& y_;
    kernels::BatchNormArrays arrays_;
    GradientTarget target_;
};

}  // namespace

OperationPointer prepare(Plan& plan, const Op& op, const BatchNorm& attributes) {
    return std::make_unique<BatchNormOperation>(plan, op, attributes);
}

}  // namespace layerledger::cuda
