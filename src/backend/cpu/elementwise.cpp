// Operations that work element by element: the input itself, ReLU, residual add.
#include <algorithm>
#include <cmath>

#include "compiled_op.hpp"
#include "element.hpp"
#include "rectifier.hpp"

namespace layerledger::cpu {
namespace {

class InputOp final : public CompiledOp {
public:
    InputOp(Program& program, const Op& op) {
        program.produce(op.id, {batch_dims(program.options().batch, op.output),
                                program.compute_type(), Tag::nchw});
        algorithm_ = "none";
    }
    void assemble_backward(Program& /*program*/) override {}
};

class ReluOp final : public CompiledOp {
public:
    ReluOp(Program& program, const Op& op) : op_(op) {
        const Memory& x = program.tensor(op.inputs[0]).data;
        const dnnl::eltwise_forward::primitive_desc pass(
            {dnnl::prop_kind::forward_training, dnnl::algorithm::eltwise_relu, x.get_desc(), 0.0F,
             0.0F},
            Program::attributes(), program.engine());
        program.add<dnnl::eltwise_forward>(
            forward_, pass,
            {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, program.produce(op.id, x.get_desc())}});
        algorithm_ = pass.impl_info_str();
    }

    void assemble_backward(Program& program) override {
        // When the mask was applied in place the memory is ours alone, so the input may have it.
        program.deliver_gradient(
            op_.inputs[0], gradient_before_rectifier(program, op_.id, true, backward_), backward_);
    }

private:
    const Op& op_;
};

class AddOp final : public CompiledOp {
public:
    AddOp(Program& program, const Op& op, const Add& attributes)
        : op_(op), attributes_(attributes) {
        const Memory a = program.tensor(op.inputs[0]).data;
        const Memory b =
            program.converted(program.tensor(op.inputs[1]).data, a.get_desc(), forward_);
        const Memory y = program.produce(op.id, a.get_desc());
        // oneDNN 2.6's own addition writes out of bounds where channels are no multiple of 16.
        with_element(program.compute_type(), [&](auto element) {
            using Element = decltype(element);
            const auto count = static_cast<std::int64_t>(y.get_desc().get_size() / sizeof(Element));
            forward_.add([a, b, y, count, least = attributes.relu ? 0.0F : -HUGE_VALF] {
                const auto* other = static_cast<const Element*>(b.get_data_handle());
                transform_parallel(count, static_cast<const Element*>(a.get_data_handle()),
                                   static_cast<Element*>(y.get_data_handle()),
                                   [=](std::int64_t i, float x) {
                                       return std::max(x + static_cast<float>(other[i]), least);
                                   });
            });
        });
        algorithm_ = "elementwise";
    }

    void assemble_backward(Program& program) override {
        const Memory gradient =
            gradient_before_rectifier(program, op_.id, attributes_.relu, backward_);
        for (const OpId input : op_.inputs) {
            program.deliver_shared_gradient(input, gradient, backward_);
        }
    }

private:
    const Op& op_;
    Add attributes_;
};

}  // namespace

OpPointer compile(Program& program, const Op& op, const Input& /*attributes*/) {
    return std::make_unique<InputOp>(program, op);
}

OpPointer compile(Program& program, const Op& op, const Relu& /*attributes*/) {
    return std::make_unique<ReluOp>(program, op);
}

OpPointer compile(Program& program, const Op& op, const Add& attributes) {
    return std::make_unique<AddOp>(program, op, attributes);
}

}  // namespace layerledger::cpu
