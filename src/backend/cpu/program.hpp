// What the compiled operations of a network share: tensors, parameters, memory.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "layerledger/device/backend.hpp"
#include "onednn.hpp"
#include "storage.hpp"

namespace layerledger::cpu {

/// The output of an operation and the gradient of the loss with respect to it, in one layout.
struct Tensor {
    Memory data;                      ///< [N, C, H, W]
    Memory gradient;                  ///< empty where none is needed
    bool gradient_shared = false;     ///< others read the same memory: it must not be overwritten
    bool gradient_rectified = false;  ///< already zero where a rectifier made the output zero
};

/// A parameter in the layout of its forward primitive. Addresses are set by `bind`.
struct ParameterMemory {
    Desc plain;  ///< row-major, as the network describes it
    Memory values;
    Memory gradient;
};

/// The newest batch, as far as the loss has to know it.
struct Labels {
    std::vector<std::int32_t> values;
    std::int64_t valid = 0;
};

/// Compilation walks the operations forward (`produce`, `parameter`) and then backward
/// (`collect_gradient`, `deliver_gradient`); `finish` allocates the scratch memory that all share.
class Program {
public:
    Program(const Network& network, const CompileOptions& options);

    [[nodiscard]] const Network& network() const noexcept { return network_; }
    [[nodiscard]] const CompileOptions& options() const noexcept { return options_; }
    [[nodiscard]] const dnnl::engine& engine() const noexcept { return engine_; }
    /// Of activations and of the weights that meet them. Everything else is fp32.
    [[nodiscard]] DataType compute_type() const noexcept { return compute_type_; }
    [[nodiscard]] Labels& labels() noexcept { return labels_; }

    /// Does backward have to produce a gradient for this output?
    [[nodiscard]] bool wants_gradient(OpId id) const;

    /// Zeroed memory that lives as long as the program.
    [[nodiscard]] Memory allocate(const Desc& desc);
    /// Bytes of all that `allocate` gave so far.
    [[nodiscard]] std::size_t allocated_bytes() const noexcept { return allocated_bytes_; }
    /// The same bytes under another description of equal size.
    [[nodiscard]] Memory view(const Memory& memory, const Desc& desc) const;

    [[nodiscard]] const Tensor& tensor(OpId id) const { return tensors_.at(id.index()); }
    [[nodiscard]] std::size_t tensor_bytes(OpId id) const;
    /// Allocates the output of an operation.
    Memory produce(OpId id, const Desc& desc);

    /// Announces a parameter: its row-major description and the layout in which it is kept (fp32).
    const ParameterMemory& parameter(ParameterId id, const Desc& plain, const Desc& kept);
    [[nodiscard]] ParameterMemory& parameter(ParameterId id) { return parameters_.at(id.index()); }
    [[nodiscard]] const ParameterMemory& parameter(ParameterId id) const {
        return parameters_.at(id.index());
    }

    /// Attributes that every primitive here needs.
    [[nodiscard]] static dnnl::primitive_attr attributes();

    template <class Primitive>
    void add(Sequence& sequence, const typename Primitive::primitive_desc& desc,
             std::vector<Sequence::Argument> arguments) {
        if (const Desc scratch = desc.scratchpad_desc(); scratch.get_size() > 0) {
            arguments.emplace_back(DNNL_ARG_SCRATCHPAD, scratchpad(scratch));
            sequence.need_scratch(scratch.get_size());
        }
        sequence.add(Primitive(desc), stream_, arguments);
    }
    void add_reorder(Sequence& sequence, const Memory& from, const Memory& to);

    /// `memory` in another layout or type: itself, or a copy that `sequence` refreshes.
    [[nodiscard]] Memory converted(const Memory& memory, const Desc& wanted, Sequence& sequence);

    /// A reader of `input` has computed its share of the gradient. `gradient` may have any layout.
    void deliver_gradient(OpId input, const Memory& gradient, Sequence& sequence);
    /// The same where `gradient` is somebody else's and must stay as it is.
    void deliver_shared_gradient(OpId input, const Memory& gradient, Sequence& sequence);
    /// The only reader of `input` has applied the mask of its rectifier.
    void mark_rectified(OpId input) { tensors_.at(input.index()).gradient_rectified = true; }
    /// Adds up what the readers of `id` delivered. From here on the tensor has its gradient.
    void collect_gradient(OpId id, Sequence& sequence);

    void finish();
    /// Converts at once.
    void reorder_now(Memory from, Memory to);

private:
    struct Contribution {
        Memory gradient;
        bool shared = false;
    };

    [[nodiscard]] Memory scratchpad(const Desc& desc);

    const Network& network_;
    CompileOptions options_;
    dnnl::engine engine_;
    dnnl::stream stream_;
    DataType compute_type_;
    std::vector<Storage> storage_;
    std::size_t allocated_bytes_ = 0;
    std::vector<Tensor> tensors_;
    std::vector<std::vector<Contribution>> contributions_;  // by op that is read
    std::vector<ParameterMemory> parameters_;
    std::vector<Memory> scratchpads_;
    std::vector<bool> wants_gradient_;
    Labels labels_;
};

}  // namespace layerledger::cpu
