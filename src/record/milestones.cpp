#include "milestones.hpp"

#include <cmath>
#include <limits>

namespace layerledger {
namespace {

constexpr double no_value = std::numeric_limits<double>::quiet_NaN();
constexpr double seconds_per_us = 1e-6;

}  // namespace

Milestones::Milestones(std::uint64_t iterations) {
    for (std::size_t i = 0; i < percents.size(); ++i) {
        after_.at(i) = (iterations * static_cast<std::uint64_t>(percents.at(i)) + 99) / 100;
    }
    values_.fill({no_value, no_value, no_value, no_value, no_value, no_value});
}

void Milestones::add(const IterationBlock& block) {
    for (std::uint64_t row = 0; row < block.rows; ++row) {
        add_iteration(block, row);
        ++seen_;
        for (std::size_t i = 0; i < percents.size(); ++i) {
            if (seen_ == after_.at(i)) {
                values_.at(i) = now();
            }
        }
    }
}

void Milestones::add_iteration(const IterationBlock& block, std::uint64_t row) {
    const auto ranks = static_cast<double>(block.ranks);
    for (std::uint64_t rank = 0; rank < block.ranks; ++rank) {
        const std::uint64_t at = row * block.ranks + rank;
        const double time = block.iteration_time[at];
        time_us_ += time / ranks;
        if (std::isnan(block.unaccounted[at])) {
            continue;
        }
        profiled_us_ += time / ranks;
        missing_us_ += block.unaccounted[at] / ranks;
        layers_us_ += block.layers_time(row, rank) / ranks;
    }
}

Milestone Milestones::now() const {
    const double time_s = time_us_ * seconds_per_us;
    if (profiled_us_ == 0) {
        return {time_s, no_value, no_value, no_value, no_value, no_value};
    }
    return {time_s,
            profiled_us_ * seconds_per_us,
            layers_us_ * seconds_per_us,
            (profiled_us_ - missing_us_) * seconds_per_us,
            missing_us_ * seconds_per_us,
            missing_us_ / profiled_us_ * 100};
}

}  // namespace layerledger
