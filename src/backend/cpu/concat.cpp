// Joins tensors along their channels.
#include "compiled_op.hpp"

namespace layerledger::cpu {
namespace {

class ConcatOp final : public CompiledOp {
public:
    ConcatOp(Program& program, const Op& op) : op_(op) {
        std::vector<Desc> parts;
        std::vector<Sequence::Argument> arguments;
        for (const OpId input : op.inputs) {
            const Memory& x = program.tensor(input).data;
            arguments.emplace_back(DNNL_ARG_MULTIPLE_SRC + static_cast<int>(parts.size()), x);
            parts.push_back(x.get_desc());
        }
        const dnnl::concat::primitive_desc pass(channels, parts, program.engine(),
                                                Program::attributes());
        arguments.emplace_back(DNNL_ARG_DST, program.produce(op.id, pass.dst_desc()));
        program.add<dnnl::concat>(forward_, pass, std::move(arguments));
        algorithm_ = pass.impl_info_str();
    }

    void assemble_backward(Program& program) override {
        const Memory gradient = divisible(program, program.tensor(op_.id).gradient);
        std::int64_t first = 0;
        for (const OpId input : op_.inputs) {
            const Dims dims = program.tensor(input).data.get_desc().dims();
            const Desc part = gradient.get_desc().submemory_desc(dims, {0, first, 0, 0});
            first += dims[channels];
            program.deliver_gradient(input, program.view(gradient, part), backward_);
        }
    }

private:
    static constexpr int channels = 1;

    // A block of channels cannot be cut: where one would be, the gradient goes through NCHW.
    Memory divisible(Program& program, const Memory& gradient) {
        std::int64_t first = 0;
        for (const OpId input : op_.inputs) {
            const Dims dims = program.tensor(input).data.get_desc().dims();
            if (!gradient.get_desc().submemory_desc(dims, {0, first, 0, 0}, true)) {
                return program.converted(
                    gradient, plain_layout(gradient.get_desc(), program.compute_type()), backward_);
            }
            first += dims[channels];
        }
        return gradient;
    }

    const Op& op_;
};

}  // namespace

OpPointer compile(Program& program, const Op& op, const Concat& /*attributes*/) {
    return std::make_unique<ConcatOp>(program, op);
}

}  // namespace layerledger::cpu
