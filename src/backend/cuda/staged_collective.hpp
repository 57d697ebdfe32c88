// Sums gradients between GPUs through the host's memory and MPI.
#pragma once

#include <memory>

#include "gpu.hpp"

namespace layerledger::cuda {

/// Collective. More than one rank.
[[nodiscard]] std::unique_ptr<Collective> make_staged_collective(Gpu& gpu,
                                                                 const Communicator& world,
                                                                 const CollectiveOptions& options);

}  // namespace layerledger::cuda
