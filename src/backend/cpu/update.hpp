// The optimizer's arithmetic.
#pragma once

#include "layerledger/device/backend.hpp"

namespace layerledger::cpu {

/// One pass over the slices by all threads; see OptimizerStep for the rules.
void update(const OptimizerStep& step, const OptimizerSlices& slices);

}  // namespace layerledger::cpu
