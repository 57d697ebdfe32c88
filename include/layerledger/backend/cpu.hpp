// The CPU backend: oneDNN computes, MPI sums.
#pragma once

#include <chrono>
#include <memory>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/comm/rank_map.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/device/collective.hpp"

namespace layerledger::cpu {

struct BackendOptions {
    int threads = 0;  ///< 0: the cores of the rank
};

/// Sets the number of compute threads of this process and flush-to-zero in each of them.
/// Threads that wait for each other spin: with more compute threads on a node than cores, start the
/// job with OMP_WAIT_POLICY=passive, which the OpenMP runtime reads before `main`.
[[nodiscard]] std::unique_ptr<Backend> make_backend(const BackendOptions& options,
                                                    const RankMap& rank);

struct CollectiveOptions {
    bool overlap = true;  ///< false: sum in `join`, nothing under the backward pass
    std::chrono::nanoseconds deadline = default_deadline;
};

/// All-reduce through MPI on a communication thread. With one rank alone nothing is sent.
/// Collective: `world` is duplicated.
[[nodiscard]] std::unique_ptr<Collective> make_collective(const Communicator& world,
                                                          const CollectiveOptions& options);

}  // namespace layerledger::cpu
