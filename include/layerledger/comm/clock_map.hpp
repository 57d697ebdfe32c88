// A rank's clock against rank 0's: readings now and then, and straight lines between them.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace layerledger {

/// Tells nanoseconds and never goes back.
using ClockFunction = std::function<std::int64_t()>;

/// The clock that marks are made with.
[[nodiscard]] std::int64_t steady_clock_ns();

/// A rank's clock was ahead of rank 0's by `offset_ns`, at most `bound_ns` off, when rank 0's said
/// `time_ns`.
struct ClockReading {
    std::int64_t time_ns = 0;
    std::int64_t offset_ns = 0;
    std::int64_t bound_ns = 0;
};

/// The rank that tells `rank` the time: the tree's ranks below 2^n have all been told after n rounds.
[[nodiscard]] int clock_parent(int rank);

/// Maps this rank's clock to rank 0's. Between two readings the offset changes evenly, after the
/// last it goes on as between the last two, before the first it is the first one's.
class ClockMap {
public:
    /// Readings come in the order of their time.
    void add(const ClockReading& reading);

    [[nodiscard]] std::int64_t to_root_ns(std::int64_t own_ns) const;

    [[nodiscard]] const std::vector<ClockReading>& readings() const noexcept { return readings_; }

    /// How fast the offset grew between the last two readings, as a share of time; NaN before the
    /// second.
    [[nodiscard]] double drift() const;

private:
    std::vector<ClockReading> readings_;
};

}  // namespace layerledger
