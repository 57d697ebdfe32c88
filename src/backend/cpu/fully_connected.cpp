// y = W x + b over [N, C*H*W], features in row-major order of channel, row, column.
#include "compiled_op.hpp"
#include "rectifier.hpp"

namespace layerledger::cpu {
namespace {

class FullyConnectedOp final : public CompiledOp {
public:
    FullyConnectedOp(Program& program, const Op& op, const FullyConnected& attributes)
        : op_(op), attributes_(attributes) {
        const std::int64_t batch = program.options().batch;
        const std::int64_t inputs = program.network().op(op.inputs[0]).output.elements();
        const DataType type = program.compute_type();
        x_desc_ = {{batch, inputs}, type, Tag::ab};
        y_desc_ = {{batch, attributes.outputs}, type, Tag::ab};
        const Dims w{attributes.outputs, inputs};
        w_any_ = {w, type, Tag::any};
        bias_ = {{attributes.outputs}, DataType::f32, Tag::a};

        forward_desc_ = {{dnnl::prop_kind::forward_training, x_desc_, w_any_, bias_, y_desc_},
                         rectified(attributes.relu),
                         program.engine()};
        const Memory& input = program.tensor(op.inputs[0]).data;
        const Desc plain_input = plain_layout(input.get_desc(), type);
        x_ = program.view(program.converted(input, plain_input, forward_), x_desc_);
        const Memory weights =
            program.parameter(op.parameters[0], {w, DataType::f32, Tag::ab}, kept_layout(program))
                .values;
        const Memory output =
            program.produce(op.id, {batch_dims(batch, op.output), type, Tag::nchw});
        program.add<dnnl::inner_product_forward>(
            forward_, forward_desc_,
            {{DNNL_ARG_SRC, x_},
             {DNNL_ARG_WEIGHTS, program.converted(weights, forward_desc_.weights_desc(), forward_)},
             {DNNL_ARG_BIAS, program.parameter(op.parameters[1], bias_, bias_).values},
             {DNNL_ARG_DST, program.view(output, y_desc_)}});
        algorithm_ = forward_desc_.impl_info_str();
    }

    void assemble_backward(Program& program) override {
        const Memory gradient = program.view(
            gradient_before_rectifier(program, op_.id, attributes_.relu, backward_), y_desc_);
        assemble_weights(program, gradient);
        if (program.wants_gradient(op_.inputs[0])) {
            assemble_data(program, gradient);
        }
    }

private:
    // As for convolutions: fp32, laid out for whoever can use it without a conversion.
    Desc kept_layout(const Program& program) const {
        return program.compute_type() == DataType::f32 || program.options().inference_only
                   ? as_fp32(forward_desc_.weights_desc())
                   : weights_pass(program).diff_weights_desc();
    }

    dnnl::inner_product_backward_weights::primitive_desc weights_pass(
        const Program& program) const {
        const Desc w_fp32(w_any_.dims(), DataType::f32, Tag::any);
        return {{x_desc_, w_fp32, bias_, y_desc_},
                Program::attributes(),
                program.engine(),
                forward_desc_};
    }

    void assemble_weights(Program& program, const Memory& gradient) {
        const auto pass = weights_pass(program);
        const Memory& kept = program.parameter(op_.parameters[0]).gradient;
        const bool in_place = pass.diff_weights_desc() == kept.get_desc();
        const Memory result = in_place ? kept : program.allocate(pass.diff_weights_desc());
        add_backward<dnnl::inner_product_backward_weights>(
            program, pass,
            {{DNNL_ARG_SRC, x_},
             {DNNL_ARG_DIFF_DST, gradient},
             {DNNL_ARG_DIFF_WEIGHTS, result},
             {DNNL_ARG_DIFF_BIAS, program.parameter(op_.parameters[1]).gradient}});
        if (!in_place) {
            program.add_reorder(backward_, result, kept);
        }
    }

    void assemble_data(Program& program, const Memory& gradient) {
        const dnnl::inner_product_backward_data::primitive_desc pass(
            {x_desc_, w_any_, y_desc_}, Program::attributes(), program.engine(), forward_desc_);
        const Memory weights = program.converted(program.parameter(op_.parameters[0]).values,
                                                 pass.weights_desc(), backward_);
        const Desc plain =
            plain_layout(program.tensor(op_.inputs[0]).data.get_desc(), program.compute_type());
        const Memory result = program.allocate(plain);
        add_backward<dnnl::inner_product_backward_data>(
            program, pass,
            {{DNNL_ARG_WEIGHTS, weights},
             {DNNL_ARG_DIFF_DST, gradient},
             {DNNL_ARG_DIFF_SRC, program.view(result, x_desc_)}});
        program.deliver_gradient(op_.inputs[0], result, backward_);
    }

    const Op& op_;
    FullyConnected attributes_;
    Desc x_desc_, y_desc_, w_any_, bias_;
    dnnl::inner_product_forward::primitive_desc forward_desc_;
    Memory x_;
};

}  // namespace

OpPointer compile(Program& program, const Op& op, const FullyConnected& attributes) {
    return std::make_unique<FullyConnectedOp>(program, op, attributes);
}

}  // namespace layerledger::cpu
