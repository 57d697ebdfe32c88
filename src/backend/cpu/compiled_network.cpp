#include "compiled_network.hpp"

#include <algorithm>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cpu {

OpPointer compile_op(Program& program, const Op& op) {
    return std::visit([&](const auto& attributes) { return compile(program, op, attributes); },
                      op.attributes);
}

CompiledNetwork::CompiledNetwork(const Network& network, const CompileOptions& options,
                                 Recorder& recorder)
    : network_(network),
      recorder_(recorder),
      program_(std::make_unique<Program>(network, options)) {
    for (const Op& op : network.ops()) {
        ops_.push_back(naming(op.name, [&] { return compile_op(*program_, op); }));
        const auto* loss = dynamic_cast<const SoftmaxLossOp*>(ops_.back().get());
        if (loss != nullptr && !network.layer(op.layer).auxiliary) {
            main_loss_ = loss;
        }
    }
    gradient_bytes_.resize(ops_.size());
    if (!options.inference_only) {
        for (std::size_t i = ops_.size(); i-- > 0;) {
            const Op& op = network.ops()[i];
            const std::size_t before = program_->allocated_bytes();
            naming(op.name, [&] {
                program_->collect_gradient(op.id, ops_[i]->backward_sequence());
                if (program_->wants_gradient(op.id)) {
                    ops_[i]->assemble_backward(*program_);
                }
            });
            gradient_bytes_[i] = program_->allocated_bytes() - before;
        }
    }
    program_->finish();
    for (const Parameter& parameter : network.parameters()) {
        constexpr std::size_t cache_line = 16;  // floats
        const std::size_t floats =
            program_->parameter(parameter.id).values.get_desc().get_size() / sizeof(float);
        parameter_storage_.push_back((floats + cache_line - 1) / cache_line * cache_line);
    }
}

void CompiledNetwork::bind(DeviceSpan parameters, DeviceSpan gradients,
                           std::span<const std::size_t> offsets) {
    LL_EXPECT(offsets.size() == parameter_storage_.size());
    for (const Parameter& parameter : network_.parameters()) {
        const std::size_t offset = offsets[parameter.id.index()];
        LL_EXPECT(offset + parameter_storage_[parameter.id.index()] <= parameters.size);
        LL_EXPECT(offset + parameter_storage_[parameter.id.index()] <= gradients.size);
        ParameterMemory& memory = program_->parameter(parameter.id);
        memory.values.set_data_handle(parameters.data + offset);
        memory.gradient.set_data_handle(gradients.data + offset);
    }
}

void CompiledNetwork::import_parameter(ParameterId id, std::span<const float> values) {
    const ParameterMemory& memory = program_->parameter(id);
    LL_EXPECT(values.size() * sizeof(float) == memory.plain.get_size());
    // oneDNN takes a pointer to mutable memory even for what it only reads.
    const Memory from(memory.plain, program_->engine(), const_cast<float*>(values.data()));
    program_->reorder_now(from, memory.values);
}

void CompiledNetwork::export_parameter(ParameterId id, std::span<float> values) const {
    const ParameterMemory& memory = program_->parameter(id);
    LL_EXPECT(values.size() * sizeof(float) == memory.plain.get_size());
    program_->reorder_now(memory.values, {memory.plain, program_->engine(), values.data()});
}

void CompiledNetwork::export_gradient(ParameterId id, std::span<float> values) const {
    const ParameterMemory& memory = program_->parameter(id);
    LL_EXPECT(values.size() * sizeof(float) == memory.plain.get_size());
    program_->reorder_now(memory.gradient, {memory.plain, program_->engine(), values.data()});
}

void CompiledNetwork::load(const HostBatch& batch) {
    const auto images = static_cast<std::size_t>(program_->options().batch);
    const auto elements = static_cast<std::size_t>(network_.input().elements());
    LL_EXPECT(batch.images.size() == images * elements);
    LL_EXPECT(batch.labels.size() == images);
    for (const std::int32_t label : batch.labels) {
        LL_VALIDATE(label >= 0 && label < network_.classes(), ExitCode::bad_data,
                    text("label ", label, " in a batch (the network has ", network_.classes(),
                         " classes) set network.classes to what the data has"));
    }
    const Memory& input = program_->tensor(network_.ops().front().id).data;
    if (input.get_desc().data_type() == DataType::f32) {
        copy_parallel(input.get_data_handle(), batch.images.data(),
                      batch.images.size() * sizeof(float));
    } else {
        const Memory from(plain_layout(input.get_desc(), DataType::f32), program_->engine(),
                          const_cast<float*>(batch.images.data()));
        program_->reorder_now(from, input);
    }
    program_->labels().values.assign(batch.labels.begin(), batch.labels.end());
    program_->labels().valid = batch.valid;
}

void CompiledNetwork::forward(LayerId layer, Mode mode) {
    for (const Op& op : network_.ops_of(layer)) {
        const auto scope = recorder_.op(op.id, Phase::forward);
        naming(op.name, [&] { ops_[op.id.index()]->forward(mode); });
    }
}

void CompiledNetwork::backward(LayerId layer) {
    const std::span<const Op> ops = network_.ops_of(layer);
    std::for_each(ops.rbegin(), ops.rend(), [&](const Op& op) {
        const auto scope = recorder_.op(op.id, Phase::backward);
        naming(op.name, [&] { ops_[op.id.index()]->backward(); });
    });
}

void CompiledNetwork::send_metrics(std::size_t slot) {
    metrics_.at(slot) = main_loss_->metrics();
}

BatchMetrics CompiledNetwork::metrics(std::size_t slot) const {
    return metrics_.at(slot);
}

std::vector<float> CompiledNetwork::plain_copy(const Memory& memory) const {
    const Desc plain = plain_layout(memory.get_desc(), DataType::f32);
    std::vector<float> values(plain.get_size() / sizeof(float));
    program_->reorder_now(memory, {plain, program_->engine(), values.data()});
    return values;
}

std::vector<float> CompiledNetwork::output(OpId op) const {
    return plain_copy(program_->tensor(op).data);
}

std::vector<float> CompiledNetwork::output_gradient(OpId op) const {
    const Memory& gradient = program_->tensor(op).gradient;
    LL_VALIDATE(gradient, ExitCode::internal,
                text(network_.op(op).name, " has no gradient (nothing before it learns)"));
    return plain_copy(gradient);
}

std::vector<float> CompiledNetwork::state() const {
    std::vector<float> all;
    for (const auto& op : ops_) {
        const std::span<const float> part = op->state();
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

void CompiledNetwork::set_state(std::span<const float> state) {
    LL_VALIDATE(state.size() == this->state().size(), ExitCode::bad_data,
                text("statistics of ", state.size(), " numbers (this network has ",
                     this->state().size(), ") use a checkpoint of the same network"));
    for (const auto& op : ops_) {
        const std::span<float> part = op->state();
        std::copy_n(state.begin(), part.size(), part.begin());
        state = state.subspan(part.size());
    }
}

std::vector<std::uint64_t> CompiledNetwork::random_state() const {
    std::vector<std::uint64_t> all;
    for (const auto& op : ops_) {
        if (const std::uint64_t* draws = op->draws()) {
            all.push_back(*draws);
        }
    }
    return all;
}

void CompiledNetwork::set_random_state(std::span<const std::uint64_t> state) {
    LL_VALIDATE(state.size() == random_state().size(), ExitCode::bad_data,
                text("random numbers of ", state.size(), " operations (this network has ",
                     random_state().size(), ") use a checkpoint of the same network"));
    auto next = state.begin();
    for (const auto& op : ops_) {
        if (std::uint64_t* draws = op->draws()) {
            *draws = *next++;
        }
    }
}

std::vector<Implementation> CompiledNetwork::implementations() const {
    std::vector<Implementation> all;
    for (const Op& op : network_.ops()) {
        const CompiledOp& compiled = *ops_[op.id.index()];
        all.push_back({op.id, compiled.algorithm(), compiled.workspace_bytes(),
                       program_->tensor_bytes(op.id), gradient_bytes_[op.id.index()]});
    }
    return all;
}

}  // namespace layerledger::cpu
