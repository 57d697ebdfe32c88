#include "layerledger/train/optimizer.hpp"

namespace layerledger {

Optimizer::Optimizer(Backend& backend, const ArenaPlan& arena, DeviceSpan parameters,
                     DeviceSpan gradients, const OptimizerStep& step)
    : backend_(backend),
      arena_(arena),
      parameters_(parameters),
      gradients_(gradients),
      step_(step) {
    for (std::size_t i = 0; i < state_count(step.kind); ++i) {
        states_.at(i) = backend.allocate(arena.size);
    }
}

void Optimizer::update(LayerId layer, double learning_rate) {
    const Slice& slice = arena_.layers[layer.index()];
    if (slice.size == 0) {
        return;
    }
    step_.learning_rate = static_cast<float>(learning_rate);
    backend_.update(step_, {parameters_.subspan(slice.offset, slice.size),
                            gradients_.subspan(slice.offset, slice.size), state_slice(0, slice),
                            state_slice(1, slice)});
}

DeviceSpan Optimizer::state_slice(std::size_t which, const Slice& slice) {
    Buffer* state = states_.at(which).get();
    return state == nullptr ? DeviceSpan{} : state->span().subspan(slice.offset, slice.size);
}

}  // namespace layerledger
