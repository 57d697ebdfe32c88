// Which iterations are profiled, and how closely.
#pragma once

#include <cstdint>
#include <optional>

#include "layerledger/timeline/ledger.hpp"

namespace layerledger {

struct ProfilePlan {
    Level level = Level::layer;
    std::int64_t warmup = 0;      ///< iterations flagged as warm-up; no overhead check in these
    std::int64_t every = 1;       ///< profile one iteration in so many
    bool overhead_check = false;  ///< alternate profiled and unprofiled iterations instead

    [[nodiscard]] Level at(std::int64_t iteration) const;

    /// The pair of neighbours, one profiled and one not, that an iteration belongs to.
    [[nodiscard]] std::optional<std::int64_t> pair(std::int64_t iteration) const;
};

}  // namespace layerledger
