// Sets of half-open intervals on the nanosecond axis.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace layerledger {

struct Interval {
    std::int64_t start = 0;
    std::int64_t end = 0;

    [[nodiscard]] std::int64_t length() const noexcept { return end > start ? end - start : 0; }
    friend bool operator==(const Interval&, const Interval&) = default;
};

/// Sorted, disjoint, non-empty: the union of any intervals.
[[nodiscard]] std::vector<Interval> united(std::vector<Interval> intervals);

/// Parts of `united` intervals that lie within both sets.
[[nodiscard]] std::vector<Interval> intersection(std::span<const Interval> a,
                                                 std::span<const Interval> b);

/// Parts of `a` outside `b`; both united.
[[nodiscard]] std::vector<Interval> difference(std::span<const Interval> a,
                                               std::span<const Interval> b);

[[nodiscard]] std::int64_t total_length(std::span<const Interval> intervals);

}  // namespace layerledger
