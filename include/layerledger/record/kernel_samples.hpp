// What devices were seen to do in a few iterations, as rows of the run file.
#pragma once

#include <cstdint>
#include <vector>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/timeline/kernel_account.hpp"

namespace layerledger {

/// A layer's phase in a sampled iteration of a rank; microseconds, see `LayerKernels`.
struct KernelRecord {
    std::int64_t iteration = 0;
    std::int64_t rank = 0;
    std::int64_t layer = 0;
    std::int64_t phase = 0;
    std::int64_t kernels = 0;
    double marked_us = absent;
    double seen_us = absent;
    double error_us = absent;
    double busy_us = absent;
    double idle_us = absent;
    double beside_us = absent;
};

/// The copies of one kind in a sampled iteration of a rank.
struct CopyRecord {
    std::int64_t iteration = 0;
    std::int64_t rank = 0;
    std::int64_t kind = 0;  ///< index into copy_kind_names
    std::int64_t count = 0;
    std::int64_t bytes = 0;
    double time_us = absent;
    double hidden_us = absent;
};

/// A sampled iteration of a rank.
struct SampleRecord {
    std::int64_t iteration = 0;
    std::int64_t rank = 0;
    std::int64_t kernels = 0;
    std::int64_t dropped = 0;
    double iteration_us = absent;
    double busy_us = absent;
    double mismatch_us = absent;
};

struct KernelSamples {
    std::vector<KernelRecord> kernels;
    std::vector<CopyRecord> copies;
    std::vector<SampleRecord> samples;
};

/// Collective: the rows of one iteration of all ranks, on rank 0. `layers` as in the run file.
[[nodiscard]] KernelSamples gather_kernels(const Communicator& world, std::size_t layers,
                                           std::int64_t iteration, const KernelAccount& account);

}  // namespace layerledger
