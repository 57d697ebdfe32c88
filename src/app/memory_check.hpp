// Whether a training fits into memory, before it takes any.
#pragma once

#include <cstdint>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/comm/rank_map.hpp"
#include "layerledger/config/experiment.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/network/network.hpp"

namespace layerledger {

/// Bytes that one rank should need. A device without memory of its own takes all from the host's.
struct MemoryNeed {
    double device = 0;  ///< compiled network, arenas of parameters, gradients, optimizer states
    double host = 0;    ///< batches, those of validation too; a checkpoint where one is wanted
};

[[nodiscard]] MemoryNeed memory_need(const Experiment& experiment, const CompileOptions& compile,
                                     const Network& network, const Backend& backend,
                                     bool validates);

/// What is to be held against the peak of the memory that the device computes in.
[[nodiscard]] double estimated_bytes(const MemoryNeed& need, const DeviceInfo& device);

/// Refuses a batch that does not fit on some rank, with the largest that fits on all. Collective:
/// throws AgreedError{configuration}, in the words of the rank that has least room.
void require_memory(const Communicator& world, const RankMap& rank, const Experiment& experiment,
                    const CompileOptions& compile, const Network& network, const Backend& backend,
                    bool validates);

}  // namespace layerledger
