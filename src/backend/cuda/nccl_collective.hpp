// Sums gradients between GPUs through NCCL.
#pragma once

#include <memory>

#include "gpu.hpp"

namespace layerledger::cuda {

/// Collective. More than one rank.
[[nodiscard]] std::unique_ptr<Collective> make_nccl_collective(Gpu& gpu, const RankMap& rank,
                                                               const Communicator& world,
                                                               const CollectiveOptions& options);

}  // namespace layerledger::cuda
