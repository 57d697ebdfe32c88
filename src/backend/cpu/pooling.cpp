// Max and average pooling over the same geometry.
#include "compiled_op.hpp"
#include "convolution.hpp"
#include "rectifier.hpp"

namespace layerledger::cpu {
namespace {

class PoolingOp final : public CompiledOp {
public:
    PoolingOp(Program& program, const Op& op, const Window& window, dnnl::algorithm kind)
        : op_(op), kind_(kind) {
        const Memory& x = program.tensor(op.inputs[0]).data;
        const Shape from = program.network().op(op.inputs[0]).output;
        strides_ = {window.stride, window.stride};
        kernel_ = {window.kernel, window.kernel};
        leading_ = {window.padding, window.padding};
        trailing_ = {trailing_padding(window, from.height, op.output.height),
                     trailing_padding(window, from.width, op.output.width)};
        const Desc y(batch_dims(program.options().batch, op.output), program.compute_type(),
                     Tag::any);
        forward_desc_ = {{dnnl::prop_kind::forward_training, kind, x.get_desc(), y, strides_,
                          kernel_, leading_, trailing_},
                         Program::attributes(),
                         program.engine()};
        std::vector<Sequence::Argument> arguments{
            {DNNL_ARG_SRC, x}, {DNNL_ARG_DST, program.produce(op.id, forward_desc_.dst_desc())}};
        if (kind == dnnl::algorithm::pooling_max) {
            workspace_ = program.allocate(forward_desc_.workspace_desc());
            workspace_bytes_ = forward_desc_.workspace_desc().get_size();
            arguments.emplace_back(DNNL_ARG_WORKSPACE, workspace_);
        }
        program.add<dnnl::pooling_forward>(forward_, forward_desc_, std::move(arguments));
        algorithm_ = forward_desc_.impl_info_str();
    }

    void assemble_backward(Program& program) override {
        const Desc x = program.tensor(op_.inputs[0]).data.get_desc();
        const Memory gradient = rectified_here(program)
                                    ? gradient_before_rectifier(program, op_.id, true, backward_)
                                    : program.tensor(op_.id).gradient;
        const dnnl::pooling_backward::primitive_desc pass(
            {kind_, x, gradient.get_desc(), strides_, kernel_, leading_, trailing_},
            Program::attributes(), program.engine(), forward_desc_);
        const Memory result = program.allocate(x);
        std::vector<Sequence::Argument> arguments{{DNNL_ARG_DIFF_DST, gradient},
                                                  {DNNL_ARG_DIFF_SRC, result}};
        if (workspace_) {
            arguments.emplace_back(DNNL_ARG_WORKSPACE, workspace_);
        }
        add_backward<dnnl::pooling_backward>(program, pass, std::move(arguments));
        program.deliver_gradient(op_.inputs[0], result, backward_);
        if (rectified_here(program)) {
            program.mark_rectified(op_.inputs[0]);
        }
    }

private:
    // A maximum is zero exactly where the rectified value that it came from is, and there are fewer
    // maxima. So the mask of a rectifier whose output is read here alone is applied here.
    bool rectified_here(const Program& program) const {
        const Op& before = program.network().op(op_.inputs[0]);
        const auto* convolution = std::get_if<Convolution>(&before.attributes);
        return kind_ == dnnl::algorithm::pooling_max && convolution != nullptr &&
               convolution->relu && program.network().consumers(before.id).size() == 1;
    }

    const Op& op_;
    dnnl::algorithm kind_;
    Dims strides_, kernel_, leading_, trailing_;
    dnnl::pooling_forward::primitive_desc forward_desc_;
    Memory workspace_;
};

}  // namespace

OpPointer compile(Program& program, const Op& op, const MaxPool& attributes) {
    return std::make_unique<PoolingOp>(program, op, attributes.window,
                                       dnnl::algorithm::pooling_max);
}

OpPointer compile(Program& program, const Op& op, const AveragePool& attributes) {
    return std::make_unique<PoolingOp>(program, op, attributes.window,
                                       dnnl::algorithm::pooling_avg_exclude_padding);
}

}  // namespace layerledger::cpu
