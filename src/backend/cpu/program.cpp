#include "program.hpp"

#include <algorithm>

#include "layerledger/base/contract.hpp"

namespace layerledger::cpu {

Program::Program(const Network& network, const CompileOptions& options)
    : network_(network),
      options_(options),
      engine_(dnnl::engine::kind::cpu, 0),
      stream_(engine_),
      compute_type_(options.precision == Precision::bf16 ? DataType::bf16 : DataType::f32),
      tensors_(network.ops().size()),
      contributions_(network.ops().size()),
      parameters_(network.parameters().size()) {
    for (const Op& op : network.ops()) {
        const bool downstream = std::any_of(op.inputs.begin(), op.inputs.end(), [this](OpId input) {
            return wants_gradient_[input.index()];
        });
        const bool asked = options.gradients_of_input && op.inputs.empty();
        wants_gradient_.push_back(network.needs_gradient(op.id) || downstream || asked);
    }
}

bool Program::wants_gradient(OpId id) const {
    return wants_gradient_.at(id.index());
}

Memory Program::allocate(const Desc& desc) {
    storage_.push_back(allocate_storage(desc.get_size()));
    allocated_bytes_ += desc.get_size();
    return {desc, engine_, storage_.back().get()};
}

Memory Program::view(const Memory& memory, const Desc& desc) const {
    return {desc, engine_, memory.get_data_handle()};
}

std::size_t Program::tensor_bytes(OpId id) const {
    const Tensor& t = tensor(id);
    return t.data ? t.data.get_desc().get_size() : 0;
}

Memory Program::produce(OpId id, const Desc& desc) {
    Tensor& result = tensors_.at(id.index());
    result.data = allocate(desc);
    return result.data;
}

const ParameterMemory& Program::parameter(ParameterId id, const Desc& plain, const Desc& kept) {
    ParameterMemory& memory = parameters_.at(id.index());
    memory.plain = plain;
    memory.values = Memory(kept, engine_, DNNL_MEMORY_NONE);
    memory.gradient = Memory(kept, engine_, DNNL_MEMORY_NONE);
    return memory;
}

dnnl::primitive_attr Program::attributes() {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return attributes;
}

void Program::add_reorder(Sequence& sequence, const Memory& from, const Memory& to) {
    const dnnl::reorder::primitive_desc desc(engine_, from.get_desc(), engine_, to.get_desc(),
                                             attributes());
    add<dnnl::reorder>(sequence, desc, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

Memory Program::converted(const Memory& memory, const Desc& wanted, Sequence& sequence) {
    if (memory.get_desc() == wanted) {
        return memory;
    }
    Memory copy = allocate(wanted);
    add_reorder(sequence, memory, copy);
    return copy;
}

void Program::deliver_gradient(OpId input, const Memory& gradient, Sequence& sequence) {
    if (wants_gradient(input)) {
        contributions_[input.index()].push_back(
            {converted(gradient, tensor(input).data.get_desc(), sequence), false});
    }
}

void Program::deliver_shared_gradient(OpId input, const Memory& gradient, Sequence& sequence) {
    if (!wants_gradient(input)) {
        return;
    }
    if (gradient.get_desc() == tensor(input).data.get_desc()) {
        contributions_[input.index()].push_back({gradient, true});
    } else {
        deliver_gradient(input, gradient, sequence);
    }
}

void Program::collect_gradient(OpId id, Sequence& sequence) {
    std::vector<Contribution>& shares = contributions_[id.index()];
    Tensor& target = tensors_[id.index()];
    if (shares.empty()) {
        return;
    }
    if (shares.size() == 1) {
        target.gradient = shares.front().gradient;
        target.gradient_shared = shares.front().shared;
        return;
    }
    // The sum may overwrite its first term, if that is ours.
    std::stable_partition(shares.begin(), shares.end(),
                          [](const Contribution& share) { return !share.shared; });
    target.gradient =
        shares.front().shared ? allocate(target.data.get_desc()) : shares.front().gradient;
    std::vector<Desc> terms;
    std::vector<Sequence::Argument> arguments{{DNNL_ARG_DST, target.gradient}};
    for (const Contribution& share : shares) {
        arguments.emplace_back(DNNL_ARG_MULTIPLE_SRC + static_cast<int>(terms.size()),
                               share.gradient);
        terms.push_back(share.gradient.get_desc());
    }
    const dnnl::sum::primitive_desc desc(target.gradient.get_desc(),
                                         std::vector<float>(terms.size(), 1.0F), terms, engine_,
                                         attributes());
    add<dnnl::sum>(sequence, desc, std::move(arguments));
}

Memory Program::scratchpad(const Desc& desc) {
    scratchpads_.push_back(Memory(desc, engine_, DNNL_MEMORY_NONE));
    return scratchpads_.back();
}

void Program::finish() {
    std::size_t bytes = 0;
    for (const Memory& scratch : scratchpads_) {
        bytes = std::max(bytes, scratch.get_desc().get_size());
    }
    if (bytes == 0) {
        return;
    }
    storage_.push_back(allocate_storage(bytes));
    for (Memory& scratch : scratchpads_) {
        scratch.set_data_handle(storage_.back().get());
    }
}

void Program::reorder_now(Memory from, Memory to) {
    dnnl::reorder(from, to).execute(stream_, from, to);
    stream_.wait();
}

}  // namespace layerledger::cpu
