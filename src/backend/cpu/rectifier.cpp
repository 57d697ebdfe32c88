#include "rectifier.hpp"

namespace layerledger::cpu {

dnnl::primitive_attr rectified(bool relu) {
    dnnl::primitive_attr attributes = Program::attributes();
    if (relu) {
        dnnl::post_ops after;
        after.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
        attributes.set_post_ops(after);
    }
    return attributes;
}

Memory gradient_before_rectifier(Program& program, OpId op, bool relu, Sequence& backward) {
    const Tensor& output = program.tensor(op);
    if (!relu || output.gradient_rectified) {
        return output.gradient;
    }
    const Desc desc = output.data.get_desc();
    const Memory masked = output.gradient_shared ? program.allocate(desc) : output.gradient;
    const auto alg = dnnl::algorithm::eltwise_relu_use_dst_for_bwd;
    const dnnl::eltwise_forward::primitive_desc hint(
        {dnnl::prop_kind::forward_training, alg, desc, 0.0F, 0.0F}, Program::attributes(),
        program.engine());
    const dnnl::eltwise_backward::primitive_desc pass(
        {alg, desc, desc, 0.0F, 0.0F}, Program::attributes(), program.engine(), hint);
    program.add<dnnl::eltwise_backward>(backward, pass,
                                        {{DNNL_ARG_DST, output.data},
                                         {DNNL_ARG_DIFF_DST, output.gradient},
                                         {DNNL_ARG_DIFF_SRC, masked}});
    return masked;
}

}  // namespace layerledger::cpu
