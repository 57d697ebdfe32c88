// How far the account had come at a quarter, a half, three quarters and the end of a run.
#pragma once

#include <array>
#include <cstdint>

#include "block_reader.hpp"

namespace layerledger {

/// Sums over the first iterations of a run, mean over ranks, in seconds; NaN where there are none,
/// or none that is profiled.
struct Milestone {
    double time_s = 0;
    double profiled_s = 0;   ///< of it the profiled iterations, of which the following are parts
    double layers_s = 0;     ///< in layers
    double accounted_s = 0;  ///< in layers and activities
    double missing_s = 0;    ///< in neither
    double missing_percent = 0;
};

/// The iterations of a milestone are the first percent / 100 of the run, rounded up.
class Milestones {
public:
    static constexpr std::array<int, 4> percents{25, 50, 75, 100};

    /// `iterations`: of the whole run.
    explicit Milestones(std::uint64_t iterations);

    /// Takes the next iterations.
    void add(const IterationBlock& block);

    [[nodiscard]] const std::array<Milestone, percents.size()>& values() const noexcept {
        return values_;
    }

private:
    void add_iteration(const IterationBlock& block, std::uint64_t row);
    [[nodiscard]] Milestone now() const;

    std::array<std::uint64_t, percents.size()> after_{};
    std::array<Milestone, percents.size()> values_{};
    std::uint64_t seen_ = 0;
    double time_us_ = 0;  // sums over iterations of means over ranks
    double layers_us_ = 0;
    double profiled_us_ = 0;  // the part of time_us_ that has an account
    double missing_us_ = 0;
};

}  // namespace layerledger
