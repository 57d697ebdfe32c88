// Convolution with bias and rectifier: cuDNN computes, own kernels add the bias, rectify, and sum
// the bias's gradient while they undo the rectifier.
#include <optional>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

#include "operation.hpp"

namespace layerledger::cuda {
namespace {

ConvolutionProblem problem_of(const Plan& plan, const Op& op, const Convolution& attributes) {
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
    return {.x = x.extent,
            .y = y.extent,
            .kernel = window.kernel,
            .stride = window.stride,
            .padding = window.padding,
            .groups = attributes.groups,
            .type = plan.type(),
            .precision = plan.options().precision,
            .deterministic = plan.gpu().is_deterministic()};
}

class ConvolutionOperation final : public Operation {
public:
    ConvolutionOperation(Plan& plan, const Op& op, const Convolution& attributes)
        : plan_(plan),
          op_(op),
          attributes_(attributes),
          x_(plan.tensor(op.inputs[0])),
          y_(plan.tensor(op.id)),
          problem_(problem_of(plan, op, attributes)) {
        prepare(forward_, plan, Direction::forward);
        algorithm_ = forward_->name();
    }

    void prepare_backward(Plan& plan) override {
        target_ = plan.target(op_.inputs[0]);
        prepare(weights_, plan, Direction::weights);
        algorithm_ += "; backward " + weights_->name();
        if (target_.data != nullptr) {
            problem_.accumulate = target_.accumulate;
            prepare(data_, plan, Direction::data);
            algorithm_ += ", " + data_->name();
        }
        plan.want_sums(y_.extent.channels);
        if (plan.type() == kernels::Type::bf16) {
            plan.want_weights(static_cast<std::size_t>(problem_.weights()));
        }
    }

    void forward(Mode) override {
        execute(*forward_, x_.data, plan_.parameter(op_.parameters[0]).typed, y_.data);
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
        execute(*weights_, x_.data, cast ? plan_.weight_gradient() : weights_place.gradient,
                y_.gradient);
        if (cast) {
            kernels::to_fp32(static_cast<const kernels::Bf16*>(plan_.weight_gradient()),
                             weights_place.gradient, static_cast<std::size_t>(problem_.weights()),
                             plan_.stream());
        }
        if (target_.data != nullptr) {
            execute(*data_, target_.data, weights_place.typed, y_.gradient);
        }
    }

private:
    [[nodiscard]] ParameterPlace bias() const {
        return attributes_.bias ? plan_.parameter(op_.parameters[1]) : ParameterPlace{};
    }
    void prepare(std::optional<ConvolutionPlan>& to, Plan& plan, Direction direction) {
        problem_.direction = direction;
        to.emplace(plan.engines().plan(problem_));
        workspace_bytes_ = std::max(workspace_bytes_, to->workspace_bytes());
        plan.want_workspace(workspace_bytes_);
    }
    void execute(ConvolutionPlan& plan, const void* x, const void* w, const void* y) {
        plan.execute(plan_.gpu().cudnn(), {x, w, y, plan_.workspace()});
    }

    const Plan& plan_;
    const Op& op_;
    Convolution attributes_;
    const Tensor& x_;
    const Tensor& y_;
    ConvolutionProblem problem_;
    std::optional<ConvolutionPlan> forward_;
    std::optional<ConvolutionPlan> weights_;
    std::optional<ConvolutionPlan> data_;
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
