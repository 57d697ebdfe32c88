// Which iterations are profiled, and how closely.
#pragma once

#include <cstdint>
#include <optional>

#include "layerledger/timeline/ledger.hpp"

namespace layerledger {

/// Whether a device's kernels are seen one by one in an iteration, which slows it down.
enum class Watch : unsigned char {
    none,
    warm_up,  ///< they are, so that the next iteration finds the device as busy as usual
    sampled,  ///< they are, and are accounted for
};

struct ProfilePlan {
    Level level = Level::layer;
    std::int64_t warmup = 0;        ///< iterations flagged as warm-up; no overhead check in these
    std::int64_t every = 1;         ///< profile one iteration in so many
    bool overhead_check = false;    ///< alternate profiled and unprofiled iterations instead
    std::int64_t kernel_every = 0;  ///< at Level::kernel one of so many is sampled, at least 2
    /// Warm-up ends with a profiled and an unprofiled iteration where both come later: what either
    /// makes when it is first needed, such as a graph of the iteration, is there before anything
    /// is measured.
    bool rehearse = false;

    [[nodiscard]] Level at(std::int64_t iteration) const;

    [[nodiscard]] Watch watch(std::int64_t iteration) const;

    /// The pair of neighbours, one profiled and one not, that an iteration belongs to.
    [[nodiscard]] std::optional<std::int64_t> pair(std::int64_t iteration) const;
};

}  // namespace layerledger
