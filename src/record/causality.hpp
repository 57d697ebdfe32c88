// Whether the ranks' clocks, brought onto one, agree with cause and effect: no rank leaves an
// all-reduce before the last one has entered it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "layerledger/hdf5/file.hpp"
#include "layerledger/record/run_writer.hpp"

namespace layerledger {

/// By how much the mapped time of an iteration may be wrong on each rank.
class ClockBounds {
public:
    /// `readings` of a whole file, in its order.
    ClockBounds(std::span<const ClockRecord> readings, std::size_t ranks);

    /// Microseconds by rank; empty where no later reading of the same start vouches for them. On
    /// either side of the iteration there is a reading with its bound. Records that travelled
    /// before the later one were mapped along the line of the earlier ones, so that the later
    /// reading's distance from that line counts too.
    [[nodiscard]] std::span<const double> at(std::int64_t iteration) const;

    [[nodiscard]] bool is_empty() const noexcept { return stretches_.empty(); }
    [[nodiscard]] double widest_us() const noexcept { return widest_us_; }

private:
    struct Stretch {
        std::int64_t first, end;  ///< iterations
        std::vector<double> bounds_us;
    };
    std::vector<Stretch> stretches_;
    double widest_us_ = 0;
};

/// Looks at every bucket of every committed iteration. Nothing where the file has no clocks of
/// several ranks.
[[nodiscard]] std::optional<CausalityRecord> find_causality(const hdf5::File& file);

}  // namespace layerledger
