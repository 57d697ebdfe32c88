#pragma once

#include <cstddef>

#include "layerledger/device/backend.hpp"

namespace layerledger::cpu {

/// Bytes that a compiled network takes, arenas left out: outputs, gradients, workspaces and the
/// shared scratch memory, from shapes alone. Within about 20 % of the truth.
[[nodiscard]] std::size_t estimate_bytes(const Network& network, const CompileOptions& options);

}  // namespace layerledger::cpu
