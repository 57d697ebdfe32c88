// Batch normalization and local response normalization.
#include <algorithm>

#include "compiled_op.hpp"

namespace layerledger::cpu {
namespace {

using dnnl::normalization_flags;
using dnnl::prop_kind;

class BatchNormOp final : public CompiledOp {
public:
    BatchNormOp(Program& program, const Op& op, const BatchNorm& attributes)
        : op_(op), attributes_(attributes) {
        const Memory& x = program.tensor(op.inputs[0]).data;
        const auto channels = op.output.channels;
        const Desc per_channel({channels}, DataType::f32, Tag::a);
        const Memory scale = program.parameter(op.parameters[0], per_channel, per_channel).values;
        const Memory shift = program.parameter(op.parameters[1], per_channel, per_channel).values;
        const Memory y = program.produce(op.id, x.get_desc());
        mean_ = program.allocate(per_channel);
        variance_ = program.allocate(per_channel);
        running_.assign(2 * static_cast<std::size_t>(channels), 0.0F);
        std::fill(running_.begin() + channels, running_.end(), 1.0F);

        flags_ = normalization_flags::use_scale | normalization_flags::use_shift;
        if (attributes.relu) {
            flags_ |= normalization_flags::fuse_norm_relu;
        }
        forward_desc_ = {{prop_kind::forward_training, x.get_desc(), attributes.epsilon, flags_},
                         Program::attributes(),
                         program.engine()};
        std::vector<Sequence::Argument> arguments{
            {DNNL_ARG_SRC, x},      {DNNL_ARG_SCALE, scale},        {DNNL_ARG_SHIFT, shift},
            {DNNL_ARG_MEAN, mean_}, {DNNL_ARG_VARIANCE, variance_}, {DNNL_ARG_DST, y}};
        if (attributes.relu) {
            workspace_ = program.allocate(forward_desc_.workspace_desc());
            workspace_bytes_ = forward_desc_.workspace_desc().get_size();
            arguments.emplace_back(DNNL_ARG_WORKSPACE, workspace_);
        }
        program.add<dnnl::batch_normalization_forward>(forward_, forward_desc_,
                                                       std::move(arguments));
        forward_.add([this, count = program.options().batch * op.output.height * op.output.width] {
            update_running_statistics(count);
        });
        algorithm_ = forward_desc_.impl_info_str();

        const dnnl::batch_normalization_forward::primitive_desc fixed(
            {prop_kind::forward_inference, x.get_desc(), attributes.epsilon,
             flags_ | normalization_flags::use_global_stats},
            Program::attributes(), program.engine());
        const Memory mean(per_channel, program.engine(), running_.data());
        const Memory variance(per_channel, program.engine(), running_.data() + channels);
        inference_.emplace();
        program.add<dnnl::batch_normalization_forward>(*inference_, fixed,
                                                       {{DNNL_ARG_SRC, x},
                                                        {DNNL_ARG_SCALE, scale},
                                                        {DNNL_ARG_SHIFT, shift},
                                                        {DNNL_ARG_MEAN, mean},
                                                        {DNNL_ARG_VARIANCE, variance},
                                                        {DNNL_ARG_DST, y}});
    }

    void assemble_backward(Program& program) override {
        const Memory& x = program.tensor(op_.inputs[0]).data;
        const Memory& gradient = program.tensor(op_.id).gradient;
        const dnnl::batch_normalization_backward::primitive_desc pass(
            {prop_kind::backward, x.get_desc(), x.get_desc(), attributes_.epsilon, flags_},
            Program::attributes(), program.engine(), forward_desc_);
        const Memory result = program.allocate(pass.diff_src_desc());
        const ParameterMemory& scale = program.parameter(op_.parameters[0]);
        const ParameterMemory& shift = program.parameter(op_.parameters[1]);
        std::vector<Sequence::Argument> arguments{
            {DNNL_ARG_SRC, x},
            {DNNL_ARG_SCALE, scale.values},
            {DNNL_ARG_SHIFT, shift.values},  // not used, but the primitive refuses to run without
            {DNNL_ARG_MEAN, mean_},
            {DNNL_ARG_VARIANCE, variance_},
            {DNNL_ARG_DIFF_DST, gradient},
            {DNNL_ARG_DIFF_SRC, result},
            {DNNL_ARG_DIFF_SCALE, scale.gradient},
            {DNNL_ARG_DIFF_SHIFT, shift.gradient}};
        if (workspace_) {
            arguments.emplace_back(DNNL_ARG_WORKSPACE, workspace_);
        }
        add_backward<dnnl::batch_normalization_backward>(program, pass, std::move(arguments));
        program.deliver_gradient(op_.inputs[0], result, backward_);
    }

    [[nodiscard]] std::span<float> state() noexcept override { return running_; }

private:
    // The running variance is the unbiased one; what normalizes a batch is the biased one.
    void update_running_statistics(std::int64_t count) {
        const float fresh = attributes_.momentum;
        const float unbias =
            count > 1 ? static_cast<float>(count) / static_cast<float>(count - 1) : 1.0F;
        const std::size_t channels = running_.size() / 2;
        for (std::size_t c = 0; c < channels; ++c) {
            float& mean = running_[c];
            float& variance = running_[channels + c];
            mean += fresh * (floats(mean_)[c] - mean);
            variance += fresh * (unbias * floats(variance_)[c] - variance);
        }
    }

    const Op& op_;
    BatchNorm attributes_;
    normalization_flags flags_ = normalization_flags::none;
    dnnl::batch_normalization_forward::primitive_desc forward_desc_;
    Memory mean_, variance_, workspace_;
    std::vector<float> running_;  // means, then variances
};

class LocalResponseNormOp final : public CompiledOp {
public:
    LocalResponseNormOp(Program& program, const Op& op, const LocalResponseNorm& attributes)
        : op_(op), attributes_(attributes) {
        const Memory& x = program.tensor(op.inputs[0]).data;
        forward_desc_ = {
            {prop_kind::forward_training, dnnl::algorithm::lrn_across_channels, x.get_desc(),
             attributes.size, attributes.alpha, attributes.beta, attributes.k},
            Program::attributes(),
            program.engine()};
        std::vector<Sequence::Argument> arguments{
            {DNNL_ARG_SRC, x}, {DNNL_ARG_DST, program.produce(op.id, x.get_desc())}};
        workspace_bytes_ = forward_desc_.workspace_desc().get_size();
        if (workspace_bytes_ > 0) {
            workspace_ = program.allocate(forward_desc_.workspace_desc());
            arguments.emplace_back(DNNL_ARG_WORKSPACE, workspace_);
        }
        program.add<dnnl::lrn_forward>(forward_, forward_desc_, std::move(arguments));
        algorithm_ = forward_desc_.impl_info_str();
    }

    void assemble_backward(Program& program) override {
        const Memory& x = program.tensor(op_.inputs[0]).data;
        const dnnl::lrn_backward::primitive_desc pass(
            {dnnl::algorithm::lrn_across_channels, x.get_desc(), x.get_desc(), attributes_.size,
             attributes_.alpha, attributes_.beta, attributes_.k},
            Program::attributes(), program.engine(), forward_desc_);
        const Memory result = program.allocate(x.get_desc());
        std::vector<Sequence::Argument> arguments{
            {DNNL_ARG_SRC, x},
            {DNNL_ARG_DIFF_DST, program.tensor(op_.id).gradient},
            {DNNL_ARG_DIFF_SRC, result}};
        if (workspace_) {
            arguments.emplace_back(DNNL_ARG_WORKSPACE, workspace_);
        }
        add_backward<dnnl::lrn_backward>(program, pass, std::move(arguments));
        program.deliver_gradient(op_.inputs[0], result, backward_);
    }

private:
    const Op& op_;
    LocalResponseNorm attributes_;
    dnnl::lrn_forward::primitive_desc forward_desc_;
    Memory workspace_;
};

}  // namespace

OpPointer compile(Program& program, const Op& op, const BatchNorm& attributes) {
    return std::make_unique<BatchNormOp>(program, op, attributes);
}

OpPointer compile(Program& program, const Op& op, const LocalResponseNorm& attributes) {
    return std::make_unique<LocalResponseNormOp>(program, op, attributes);
}

}  // namespace layerledger::cpu
