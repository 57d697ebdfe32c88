// Pooling and local response normalization.
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "operation.hpp"

namespace layerledger::cuda {
namespace {

kernels::Window window_of(const Window& window) {
    return {static_cast<std::int32_t>(window.kernel), static_cast<std::int32_t>(window.stride),
            static_cast<std::int32_t>(window.padding)};
}

class PoolOperation final : public Operation {
public:
    PoolOperation(Plan& plan, const Op& op, const Window& window, bool maximum)
        : plan_(plan),
          op_(op),
          window_(window_of(window)),
          x_(plan.tensor(op.inputs[0])),
          y_(plan.tensor(op.id)) {
        if (maximum) {
            LL_VALIDATE(window.kernel <= kernels::largest_max_window, ExitCode::unavailable,
                        text(op.name, " takes the maximum of ", window.kernel, "x", window.kernel,
                             " elements (GPUs take that of ", kernels::largest_max_window, "x",
                             kernels::largest_max_window, " at most) use device.backend=cpu"));
            workspace_bytes_ = static_cast<std::size_t>(y_.extent.elements());
            places_ = static_cast<std::uint8_t*>(plan.allocate(workspace_bytes_));
        }
    }

    void prepare_backward(Plan& plan) override { target_ = plan.target(op_.inputs[0]); }
    void forward(Mode) override {
        if (places_ != nullptr) {
            kernels::max_pool_forward(plan_.type(), x_.data, x_.extent, y_.data, y_.extent, places_,
                                      window_, plan_.stream());
        } else {
            kernels::average_pool_forward(plan_.type(), x_.data, x_.extent, y_.data, y_.extent,
                                          window_, plan_.stream());
        }
    }
    void backward() override {
        if (target_.data == nullptr) {
            return;
        }
        if (places_ != nullptr) {
            kernels::max_pool_backward(plan_.type(), y_.gradient, y_.extent, places_, target_.data,
                                       x_.extent, window_, target_.accumulate, plan_.stream());
        } else {
            kernels::average_pool_backward(plan_.type(), y_.gradient, y_.extent, target_.data,
                                           x_.extent, window_, target_.accumulate, plan_.stream());
        }
    }

private:
    const Plan& plan_;
    const Op& op_;
    kernels::Window window_;
    const Tensor& x_;
    const Tensor& y_;
    std::uint8_t* places_ = nullptr;
    GradientTarget target_;
};

class ResponseNormOperation final : public Operation {
public:
    ResponseNormOperation(Plan& plan, const Op& op, const LocalResponseNorm& attributes)
        : plan_(plan),
          op_(op),
          norm_{static_cast<std::int32_t>(attributes.size / 2),
                attributes.alpha / static_cast<float>(attributes.size), attributes.beta,
                attributes.k},
          x_(plan.tensor(op.inputs[0])),
          y_(plan.tensor(op.id)) {
        LL_VALIDATE(norm_.half <= kernels::most_response_half, ExitCode::unavailable,
                    text(op.name, " normalizes over ", attributes.size,
                         " channels (the cuda backend has at most ",
                         2 * kernels::most_response_half + 1, ") use device.backend=cpu"));
    }

    void prepare_backward(Plan& plan) override { target_ = plan.target(op_.inputs[0]); }
    void forward(Mode) override {
        kernels::response_norm_forward(plan_.type(), x_.data, y_.data, y_.extent, norm_,
                                       plan_.stream());
    }
    void backward() override {
        if (target_.data != nullptr) {
            kernels::response_norm_backward(plan_.type(), x_.data, y_.gradient, target_.data,
                                            y_.extent, norm_, target_.accumulate, plan_.stream());
        }
    }

private:
    const Plan& plan_;
    const Op& op_;
    kernels::ResponseNorm norm_;
    const Tensor& x_;
    const Tensor& y_;
    GradientTarget target_;
};

}  // namespace

OperationPointer prepare(Plan& plan, const Op& op, const MaxPool& attributes) {
    return std::make_unique<PoolOperation>(plan, op, attributes.window, true);
}
OperationPointer prepare(Plan& plan, const Op& op, const AveragePool& attributes) {
    return std::make_unique<PoolOperation>(plan, op, attributes.window, false);
}
OperationPointer prepare(Plan& plan, const Op& op, const LocalResponseNorm& attributes) {
    return std::make_unique<ResponseNormOperation>(plan, op, attributes);
}

}  // namespace layerledger::cuda
