// The CUDA backend: cuDNN and cuBLAS compute, NCCL sums. In a build without CUDA the same functions
// say so.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/comm/rank_map.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/device/collective.hpp"

namespace layerledger::cuda {

/// Why this process cannot compute on a GPU ("no driver for GPUs is installed"); empty where it
/// can. Does not throw.
[[nodiscard]] std::string why_unavailable();

/// Names and versions of the libraries behind this backend; empty in a build without them.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> library_versions();

/// How many ranks, this one included, compute on the GPU that this rank takes: the one whose number
/// among those that this process sees is its local rank's. Collective. Throws
/// AgreedError{unavailable} where there is none, or it is more than one and `may_share` is not set.
[[nodiscard]] int count_sharers(const Communicator& world, const RankMap& rank, bool may_share);

struct BackendOptions {
    int sharers = 1;             ///< ranks that compute on this GPU
    bool deterministic = false;  ///< only algorithms that repeat their results bit for bit
    bool stamps = true;          ///< marks may be stamps of the device's clock
    /// Whose rank 0 chooses the algorithms: `compile` is collective then. A rank that cannot use a
    /// choice of rank 0's looks for its own. Outlives the backend. Null: this rank is alone.
    const Communicator* world = nullptr;
};

/// On the rank's GPU (see `count_sharers`). Throws Error{unavailable} where there is none.
[[nodiscard]] std::unique_ptr<Backend> make_backend(const BackendOptions& options,
                                                    const RankMap& rank);

enum class CollectiveKind : unsigned char { nccl, mpi };

struct CollectiveOptions {
    CollectiveKind kind = CollectiveKind::nccl;
    bool overlap = true;  ///< false: sum in `join`, nothing under the backward pass
    std::chrono::nanoseconds deadline = default_deadline;
};

/// All-reduce between the GPUs of all ranks. `backend` is this one's and outlives the result.
/// Collective.
[[nodiscard]] std::unique_ptr<Collective> make_collective(Backend& backend, const RankMap& rank,
                                                          const Communicator& world,
                                                          const CollectiveOptions& options);

}  // namespace layerledger::cuda
