#include "layerledger/comm/clock_map.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>

#include "layerledger/base/contract.hpp"

namespace layerledger {
namespace {

double drift_between(const ClockReading& first, const ClockReading& second) {
    return static_cast<double>(second.offset_ns - first.offset_ns) /
           static_cast<double>(second.time_ns - first.time_ns);
}

/// Rank 0's time where the offset is `from`'s at its time and grows by `drift` since.
std::int64_t on_line(const ClockReading& from, double drift, std::int64_t own_ns) {
    const std::int64_t since_ns = own_ns - from.offset_ns - from.time_ns;
    return from.time_ns + std::llround(static_cast<double>(since_ns) / (1 + drift));
}

}  // namespace

std::int64_t steady_clock_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

int clock_parent(int rank) {
    LL_EXPECT(rank > 0);
    return rank - static_cast<int>(std::bit_floor(static_cast<unsigned>(rank)));
}

void ClockMap::add(const ClockReading& reading) {
    LL_EXPECT(readings_.empty() || readings_.back().time_ns < reading.time_ns);
    readings_.push_back(reading);
}

std::int64_t ClockMap::to_root_ns(std::int64_t own_ns) const {
    if (readings_.empty()) {
        return own_ns;
    }
    // The first reading that was made after this moment, on this rank's own clock.
    const auto later = std::ranges::upper_bound(
        readings_, own_ns, {}, [](const ClockReading& r) { return r.time_ns + r.offset_ns; });
    if (later == readings_.begin() || readings_.size() == 1) {
        return own_ns - readings_.front().offset_ns;
    }
    const auto end = later == readings_.end() ? later - 1 : later;
    return on_line(*(end - 1), drift_between(*(end - 1), *end), own_ns);
}

double ClockMap::drift() const {
    return readings_.size() < 2 ? std::numeric_limits<double>::quiet_NaN()
                                : drift_between(*(readings_.end() - 2), readings_.back());
}

}  // namespace layerledger
