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
    bool overhead_check = false;  ///< alternate profiled and unprofiled blocks instead

    [[nodiscard]] Level at(std::int64_t iteration) const;

    /// The pair of blocks that an iteration counts for in the overhead check. The first iteration of
    /// a block does not count: it pays for what the block before left behind.
    [[nodiscard]] std::optional<std::int64_t> pair(std::int64_t iteration) const;
};

}  // namespace layerledger
