// Convolutions whose groups are no multiple of the padding of channels, by kernels of our own.
#include "operation.hpp"

namespace layerledger::cuda {
namespace {

class OddGroupsOperation final : public Operation {
public:
    OddGroupsOperation(Plan& plan, const Op& op, const Convolution& attributes)
        : plan_(plan),
          op_(op),
          attributes_(attributes),
          x_(plan.tensor(op.inputs[0])),
          y_(plan.tensor(op.id)),
          convolution_{x_.extent,
                       y_.extent,
                       {static_cast<std::int32_t>(attributes.window.kernel),
                        static_cast<std::int32_t>(attributes.window.stride),
                        static_cast<std::int32_t>(attributes.window.padding)},
                       static_cast<std::int32_t>(attributes.groups),
                       static_cast<std::int32_t>(x_.channels / attributes.groups),
                       static_cast<std::int32_t>(y_.channels / attributes.groups)} {
        algorithm_ = "direct";
    }

    void prepare_backward(Plan& plan) override {
        target_ = plan.target(op_.inputs[0]);
        plan.want_sums(y_.extent.channels);
    }

    void forward(Mode) override {
        kernels::direct_forward(plan_.type(), convolution_, x_.data, weights().typed, y_.data,
                                plan_.stream());
        if (attributes_.bias || attributes_.relu) {
            kernels::add_bias(plan_.type(), y_.data, bias().values, attributes_.relu, y_.extent,
                              plan_.stream());
        }
    }

    void backward() override {
        if (attributes_.bias || attributes_.relu) {
            kernels::bias_gradient(plan_.type(), y_.gradient, attributes_.relu ? y_.data : nullptr,
                                   bias().gradient, plan_.sums(), y_.extent, plan_.stream());
        }
        kernels::direct_backward_weights(plan_.type(), convolution_, x_.data, y_.gradient,
                                         weights().gradient, plan_.stream());
        if (target_.data != nullptr) {
            kernels::direct_backward_data(plan_.type(), convolution_, weights().typed, y_.gradient,
                                          target_.data, target_.accumulate, plan_.stream());
        }
    }

private:
    [[nodiscard]] const ParameterPlace& weights() const {
        return plan_.parameter(op_.parameters[0]);
    }
    [[nodiscard]] ParameterPlace bias() const {
        return attributes_.bias ? plan_.parameter(op_.parameters[1]) : ParameterPlace{};
    }

    const Plan& plan_;
    const Op& op_;
    Convolution attributes_;
    const Tensor& x_;
    const Tensor& y_;
    kernels::DirectConvolution convolution_;
    GradientTarget target_;
};

}  // namespace

OperationPointer prepare_odd_groups(Plan& plan, const Op& op, const Convolution& attributes) {
    return std::make_unique<OddGroupsOperation>(plan, op, attributes);
}

}  // namespace layerledger::cuda
