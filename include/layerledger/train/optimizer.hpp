// Updates the parameters, layer by layer, over slices of the flat arenas.
#pragma once

#include <array>
#include <memory>

#include "layerledger/device/backend.hpp"
#include "layerledger/train/arena.hpp"

namespace layerledger {

class Optimizer {
public:
    /// `step` holds the kind and its constants. All arguments must outlive this.
    Optimizer(Backend& backend, const ArenaPlan& arena, DeviceSpan parameters, DeviceSpan gradients,
              const OptimizerStep& step);

    void update(LayerId layer, double learning_rate);

    /// The state vectors of all parameters, each in the layout of the arena.
    [[nodiscard]] std::size_t states() const noexcept { return state_count(step_.kind); }
    [[nodiscard]] Buffer& state(std::size_t which) { return *states_.at(which); }

private:
    [[nodiscard]] DeviceSpan state_slice(std::size_t which, const Slice& slice);

    Backend& backend_;
    const ArenaPlan& arena_;
    DeviceSpan parameters_;
    DeviceSpan gradients_;
    OptimizerStep step_;
    std::array<std::unique_ptr<Buffer>, 2> states_;  // null beyond state_count(kind)
};

}  // namespace layerledger
