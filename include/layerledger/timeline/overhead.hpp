// What profiling costs, from iterations that were profiled and iterations that were not.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace layerledger {

/// One iteration of an overhead check.
struct CheckedIteration {
    std::optional<std::int64_t>
        pair;  ///< of neighbours, one profiled, one not; empty: not compared
    bool profiled = false;
    double time_us = 0;         ///< without what layerledger took between the layers' work
    double measurement_us = 0;  ///< that part; counts whether the iteration is compared or not
};

/// The cost of profiling in percent of the unprofiled iteration, with a 95 % interval.
struct Overhead {
    double percent = 0;
    double low = 0;
    double high = 0;
    double measurement_percent = 0;  ///< contained in the three above
    std::int64_t pairs = 0;
};

/// Each pair gives one ratio: median time of its profiled iterations over median time of
/// its unprofiled ones. To the median of (ratio - 1) comes the mean cost of measurement (closing
/// accounts, gather, commit) per profiled iteration, over all iterations, which is timed directly
/// because it is rare and large. The interval is that of `median_interval` with 95 %. Empty with
/// fewer than 6 complete pairs: no such interval exists then.
[[nodiscard]] std::optional<Overhead> estimate_overhead(
    std::span<const CheckedIteration> iterations);

}  // namespace layerledger
