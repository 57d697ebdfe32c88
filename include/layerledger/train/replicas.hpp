// Data-parallel ranks hold the same parameters, bit for bit, or the training is worth nothing.
#pragma once

#include <cstdint>

#include "layerledger/comm/communicator.hpp"

namespace layerledger {

/// Collective. Throws Error{internal} on all ranks, naming those that differ from the majority and
/// the iteration, unless `digest` is the same everywhere.
void require_equal_replicas(const Communicator& world, std::uint64_t digest,
                            std::int64_t iteration);

}  // namespace layerledger
