// Convolution with bias and rectifier: cuDNN computes, own kernels add the bias, rectify, and sum
// the bias's gradient while they undo the rectifier.
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

#include "convolution_descriptors.hpp"
#include "operation.hpp"

namespace layerledger::cuda {
namespace {

ConvolutionShape shape_of(const Plan& plan, const Op& op, const Convolution& attributes) {
    const Tensor& x = plan.tensor(op.inputs[0]);
    const Tensor& y = plan.tensor(op.id);
    const Window& window = attributes.window;
    const auto fits = [&](std::int64_t in, std::int64_t out) {
        return (in + 2 * window.padding - window.kernel) / window.stride + 1 == out;
    };
    LL_VALIDATE(fits(x.extent.height, y.extent.height) && fits(x.extent.width, y.extent.width),
                ExitCode::unavailable,
                text(op.name,
                     " has windows that hang over the edge (cuDNN convolves whole ones "
                     "only) use device.backend=cpu"));
    return {x.extent,       y.extent,          window.kernel, window.stride,
            window.padding, attributes.groups, plan.type(),   plan.options().precision};
}

class ConvolutionOperation final : public Operation {
public:
    ConvolutionOperation(Plan& plan, const Op& op, const Convolution& attributes)
        : plan_(plan),
          op_(op),
          attributes_(attributes),
          x_(plan.tensor(op.inputs[0])),
          y_(plan.tensor(op.id)),
          shape_(shape_of(plan, op, attributes)),
          descriptors_(plan.gpu(), shape_) {
        choose(plan, Direction::forward);
    }

    void prepare_backward(Plan& plan) override {
        target_ = plan.target(op_.inputs[0]);
        choose(plan, Direction::weights);
        if (target_.data != nullptr) {
            choose(plan, Direction::data);
        }
        plan.want_sums(y_.extent.channels);
        if (plan.type() == kernels::Type::bf16) {
            plan.want_weights(weights());
        }
    }

    void forward(Mode) override {
        descriptors_.forward(x_.data, plan_.parameter(op_.parameters[0]).typed, y_.data,
                             plan_.workspace());
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
        const ParameterPlace& weights_place = plan_.parameter(op_.parameters[0]);
        const bool cast = plan_.type() == kernels::Type::bf16;
        descriptors_.backward_weights(
            x_.data, y_.gradient,
            cast ? plan_.weight_gradient() : static_cast<void*>(weights_place.gradient),
            plan_.workspace());
        if (cast) {
            kernels::to_fp32(static_cast<const kernels::Bf16*>(plan_.weight_gradient()),
                             weights_place.gradient, weights(), plan_.stream());
        }
        if (target_.data != nullptr) {
            descriptors_.backward_data(weights_place.typed, y_.gradient, target_.data,
                                       target_.accumulate, plan_.workspace());
        }
    }

private:
    [[nodiscard]] ParameterPlace bias() const {
        return attributes_.bias ? plan_.parameter(op_.parameters[1]) : ParameterPlace{};
    }
    [[nodiscard]] std::size_t weights() const {
        const ParameterPlace& place = plan_.parameter(op_.parameters[0]);
        return static_cast<std::size_t>(place.rows * place.spots * place.columns);
    }
    void choose(Plan& plan, Direction direction) {
        descriptors_.choose(direction, plan.algorithms().find(shape_, direction, descriptors_));
        workspace_bytes_ = descriptors_.workspace_bytes();
        plan.want_workspace(workspace_bytes_);
        algorithm_ = descriptors_.name(Direction::forward);
        if (direction != Direction::forward) {
            algorithm_ += "; backward " + descriptors_.name(Direction::weights);
        }
        if (direction == Direction::data) {
            algorithm_ += ", " + descriptors_.name(Direction::data);
        }
    }

    const Plan& plan_;
    const Op& op_;
    Convolution attributes_;
    const Tensor& x_;
    const Tensor& y_;
    ConvolutionShape shape_;
    ConvolutionDescriptors descriptors_;
    GradientTarget target_;
};

}  // namespace

OperationPointer prepare(Plan& plan, const Op& op, const Convolution& attributes) {
    // Padded channels would lie between the groups.
    const std::int64_t unit = kernels::vector(plan.type()) * attributes.groups;
    const std::int64_t inputs = plan.tensor(op.inputs[0]).channels;
    if (attributes.groups > 1 && (inputs % unit != 0 || op.output.channels % unit != 0)) {
        return prepare_odd_groups(plan, op, attributes);
    }
    return std::make_unique<ConvolutionOperation>(plan, op, attributes);
}

}  // namespace layerledger::cuda
