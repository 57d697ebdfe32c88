#include "convolution.hpp"

#include <algorithm>

#include "compiled_op.hpp"
#include "rectifier.hpp"

namespace layerledger::cpu {

bool winograd_pays(const Convolution& convolution, const Shape& input, const Shape& output,
                   std::int64_t batch) {
    const Window& window = convolution.window;
    // Measured on Zen 4 (AVX-512): 1.3 to 3 times faster in every direction from here on; with 16
    // tiles even, with 8 twice as slow, because transforming the weights costs more than it saves.
    constexpr std::int64_t enough_channels = 64;
    constexpr std::int64_t enough_tiles = 32;
    const std::int64_t tiles = batch * ((output.height + 3) / 4) * ((output.width + 3) / 4);
    return window.kernel == 3 && window.stride == 1 && window.padding <= 1 &&
           convolution.groups == 1 && input.channels >= enough_channels &&
           convolution.output_channels >= enough_channels && tiles >= enough_tiles;
}

std::int64_t trailing_padding(const Window& window, std::int64_t input, std::int64_t output) {
    return std::max<std::int64_t>(
        0, (output - 1) * window.stride + window.kernel - input - window.padding);
}

namespace {

using Algorithm = dnnl::algorithm;
using dnnl::prop_kind;

class ConvolutionOp final : public CompiledOp {
public:
    ConvolutionOp(Program& program, const Op& op, const Convolution& attributes)
        : op_(op), attributes_(attributes) {
        const Memory& input = program.tensor(op.inputs[0]).data;
        const DataType type = program.compute_type();
        const Shape from = program.network().op(op.inputs[0]).output;
        const Window& window = attributes.window;
        strides_ = {window.stride, window.stride};
        leading_ = {window.padding, window.padding};
        trailing_ = {trailing_padding(window, from.height, op.output.height),
                     trailing_padding(window, from.width, op.output.width)};
        x_any_ = any_layout(input.get_desc(), type);
        y_any_ = {batch_dims(program.options().batch, op.output), type, Tag::any};
        const Dims w = weight_dims(from);
        w_any_ = {w, type, Tag::any};
        bias_ = {{op.output.channels}, DataType::f32, Tag::a};

        forward_desc_ = forward_description(program, from);
        const Memory x = program.converted(input, forward_desc_.src_desc(), forward_);
        const Desc plain(w, DataType::f32, attributes.groups > 1 ? Tag::goihw : Tag::oihw);
        const Desc kept = kept_layout(program);
        const Memory weights = program.parameter(op.parameters[0], plain, kept).values;
        std::vector<Sequence::Argument> arguments{
            {DNNL_ARG_SRC, x},
            {DNNL_ARG_WEIGHTS, program.converted(weights, forward_desc_.weights_desc(), forward_)},
            {DNNL_ARG_DST, program.produce(op.id, forward_desc_.dst_desc())}};
        if (attributes.bias) {
            arguments.emplace_back(DNNL_ARG_BIAS,
                                   program.parameter(op.parameters[1], bias_, bias_).values);
        }
        program.add<dnnl::convolution_forward>(forward_, forward_desc_, std::move(arguments));
        algorithm_ = forward_desc_.impl_info_str();
        x_ = x;
    }

    void assemble_backward(Program& program) override {
        const Memory gradient =
            gradient_before_rectifier(program, op_.id, attributes_.relu, backward_);
        assemble_weights(program, gradient);
        if (program.wants_gradient(op_.inputs[0])) {
            assemble_data(program, gradient);
        }
    }

private:
    Dims weight_dims(const Shape& from) const {
        const std::int64_t g = attributes_.groups;
        const std::int64_t k = attributes_.window.kernel;
        const Dims dims{attributes_.output_channels / g, from.channels / g, k, k};
        return g > 1 ? Dims{g, dims[0], dims[1], k, k} : dims;
    }

    dnnl::convolution_forward::primitive_desc forward_description(const Program& program,
                                                                  const Shape& from) {
        algorithm_kind_ =
            program.compute_type() == DataType::f32 &&
                    winograd_pays(attributes_, from, op_.output, program.options().batch)
                ? Algorithm::convolution_winograd
                : Algorithm::convolution_direct;
        const auto describe = [&] {
            // Without a bias the description must not mention one.
            const dnnl::convolution_forward::desc desc =
                attributes_.bias
                    ? dnnl::convolution_forward::desc(prop_kind::forward_training, algorithm_kind_,
                                                      x_any_, w_any_, bias_, y_any_, strides_,
                                                      leading_, trailing_)
                    : dnnl::convolution_forward::desc(prop_kind::forward_training, algorithm_kind_,
                                                      x_any_, w_any_, y_any_, strides_, leading_,
                                                      trailing_);
            return dnnl::convolution_forward::primitive_desc(desc, rectified(attributes_.relu),
                                                             program.engine(), true);
        };
        auto result = describe();
        if (!result && algorithm_kind_ == Algorithm::convolution_winograd) {
            // Processors without AVX-512 have no Winograd kernels.
            algorithm_kind_ = Algorithm::convolution_direct;
            result = describe();
        }
        if (!result) {
            dnnl::error::wrap_c_api(dnnl_unimplemented, "no convolution of this kind");
        }
        return result;
    }

    // The arena keeps fp32. If that is what the forward pass reads, in its layout; else it has to
    // be converted anyway, and the layout that backward writes costs nothing.
    Desc kept_layout(const Program& program) const {
        return program.compute_type() == DataType::f32 || program.options().inference_only
                   ? as_fp32(forward_desc_.weights_desc())
                   : weights_pass(program).diff_weights_desc();
    }

    dnnl::convolution_backward_weights::primitive_desc weights_pass(const Program& program) const {
        const Desc w_fp32(w_any_.dims(), DataType::f32, Tag::any);
        const dnnl::convolution_backward_weights::desc desc =
            attributes_.bias
                ? dnnl::convolution_backward_weights::desc(algorithm_kind_, x_any_, w_fp32, bias_,
                                                           y_any_, strides_, leading_, trailing_)
                : dnnl::convolution_backward_weights::desc(algorithm_kind_, x_any_, w_fp32, y_any_,
                                                           strides_, leading_, trailing_);
        return {desc, Program::attributes(), program.engine(), forward_desc_};
    }

    void assemble_weights(Program& program, const Memory& gradient) {
        const auto pass = weights_pass(program);
        const Memory& kept = program.parameter(op_.parameters[0]).gradient;
        const bool in_place = pass.diff_weights_desc() == kept.get_desc();
        const Memory result = in_place ? kept : program.allocate(pass.diff_weights_desc());
        std::vector<Sequence::Argument> arguments{
            {DNNL_ARG_SRC, program.converted(x_, pass.src_desc(), backward_)},
            {DNNL_ARG_DIFF_DST, program.converted(gradient, pass.diff_dst_desc(), backward_)},
            {DNNL_ARG_DIFF_WEIGHTS, result}};
        if (attributes_.bias) {
            arguments.emplace_back(DNNL_ARG_DIFF_BIAS,
                                   program.parameter(op_.parameters[1]).gradient);
        }
        add_backward<dnnl::convolution_backward_weights>(program, pass, std::move(arguments));
        if (!in_place) {
            program.add_reorder(backward_, result, kept);
        }
    }

    void assemble_data(Program& program, const Memory& gradient) {
        const dnnl::convolution_backward_data::primitive_desc pass(
            {algorithm_kind_, x_any_, w_any_, y_any_, strides_, leading_, trailing_},
            Program::attributes(), program.engine(), forward_desc_);
        const Memory weights = program.converted(program.parameter(op_.parameters[0]).values,
                                                 pass.weights_desc(), backward_);
        const Memory result = program.allocate(pass.diff_src_desc());
        add_backward<dnnl::convolution_backward_data>(
            program, pass,
            {{DNNL_ARG_WEIGHTS, weights},
             {DNNL_ARG_DIFF_DST, program.converted(gradient, pass.diff_dst_desc(), backward_)},
             {DNNL_ARG_DIFF_SRC, result}});
        program.deliver_gradient(op_.inputs[0], result, backward_);
    }

    const Op& op_;
    Convolution attributes_;
    Algorithm algorithm_kind_ = Algorithm::convolution_direct;
    Dims strides_, leading_, trailing_;
    Desc x_any_, w_any_, y_any_, bias_;
    dnnl::convolution_forward::primitive_desc forward_desc_;
    Memory x_;
};

}  // namespace

OpPointer compile(Program& program, const Op& op, const Convolution& attributes) {
    return std::make_unique<ConvolutionOp>(program, op, attributes);
}

}  // namespace layerledger::cpu
