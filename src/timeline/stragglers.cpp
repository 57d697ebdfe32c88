#include "layerledger/timeline/stragglers.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/phase.hpp"
#include "straggler_window.hpp"

namespace layerledger {
namespace {

/// For each rank the median of the other ranks' values, in time that grows as their number.
void medians_of_others(std::span<const float> values, std::vector<float>& ordered,
                       std::span<float> medians) {
    const std::size_t others = values.size() - 1;
    ordered.assign(values.begin(), values.end());
    const auto middle = ordered.begin() + static_cast<std::ptrdiff_t>(others / 2);
    std::ranges::nth_element(ordered, middle);
    const float above = *std::min_element(middle + 1, ordered.end());
    const float below =
        middle == ordered.begin() ? *middle : *std::max_element(ordered.begin(), middle);
    for (std::size_t rank = 0; rank < values.size(); ++rank) {
        // Without this rank's value everything above it moves down by one.
        const float upper = *middle < values[rank] ? *middle : above;
        const float lower = below < values[rank] ? below : *middle;
        medians[rank] = others % 2 == 1 ? upper : (lower + upper) / 2;
    }
}

Persistence persistence_of(const std::vector<std::size_t>& windows, std::size_t all) {
    if (static_cast<double>(windows.size()) >= 0.8 * static_cast<double>(all)) {
        return Persistence::always;
    }
    std::size_t spells = 1;
    for (std::size_t i = 1; i < windows.size(); ++i) {
        if (windows[i] > windows[i - 1] + 1) {
            ++spells;
        }
    }
    return windows.size() >= 2 * spells ? Persistence::spells : Persistence::random;
}

}  // namespace

StragglerSearch::StragglerSearch(std::size_t ranks, std::size_t layers)
    : ranks_(ranks), layers_(layers) {
    LL_EXPECT(ranks >= 2);
}

std::size_t StragglerSearch::layer_columns() const noexcept {
    return layers_ * phases.size();
}

void StragglerSearch::add(std::int64_t iteration, std::span<const float> times_us,
                          std::span<const double> arrivals_us) {
    const std::size_t row = ranks_ * columns();
    LL_EXPECT(times_us.size() == row);
    const std::size_t base = iterations_.size() * row;
    excess_us_.resize(base + row);
    others_us_.resize(base + row);
    std::vector<float> values(ranks_);
    std::vector<float> medians(ranks_);
    std::vector<float> ordered;
    for (std::size_t column = 0; column < columns(); ++column) {
        // The update before the iteration delays it, the one in it the next.
        const bool is_update =
            column < layer_columns() && column % phases.size() == index(Phase::update);
        const std::span<const float> from =
            is_update && !previous_us_.empty() ? std::span<const float>(previous_us_) : times_us;
        for (std::size_t rank = 0; rank < ranks_; ++rank) {
            const float value = from[rank * columns() + column];
            values[rank] = std::isnan(value) ? 0.0F : value;
        }
        medians_of_others(values, ordered, medians);
        for (std::size_t rank = 0; rank < ranks_; ++rank) {
            excess_us_[base + column * ranks_ + rank] = values[rank] - medians[rank];
            others_us_[base + column * ranks_ + rank] = medians[rank];
        }
    }
    previous_us_.assign(times_us.begin(), times_us.end());
    iterations_.push_back(iteration);
    find_last(iteration, arrivals_us);
    if (iterations_.size() == window_iterations) {
        judge_window();
        iterations_.clear();
        excess_us_.clear();
        others_us_.clear();
    }
}

void StragglerSearch::find_last(std::int64_t iteration, std::span<const double> arrivals_us) {
    const std::size_t base = (iterations_.size() - 1) * ranks_ * columns();
    std::vector<float> lateness(ranks_);
    if (arrivals_us.empty()) {
        for (std::size_t column = 0; column < columns(); ++column) {
            for (std::size_t rank = 0; rank < ranks_; ++rank) {
                lateness[rank] += excess_us_[base + column * ranks_ + rank];
            }
        }
    } else {
        for (std::size_t rank = 0; rank < ranks_; ++rank) {
            lateness[rank] = static_cast<float>(arrivals_us[rank] - arrivals_us[0]);
        }
    }
    const auto last = std::ranges::max_element(lateness) - lateness.begin();
    LateIteration late;
    late.iteration = iteration;
    late.rank = last;
    if (!arrivals_us.empty()) {
        std::vector<float> medians(ranks_);
        std::vector<float> ordered;
        medians_of_others(lateness, ordered, medians);
        late.late_us =
            lateness[static_cast<std::size_t>(last)] - medians[static_cast<std::size_t>(last)];
    }
    const auto excess_us = [&](std::size_t column) {
        return excess_us_[base + column * ranks_ + static_cast<std::size_t>(last)];
    };
    std::size_t most = 0;
    for (std::size_t column = 1; column < columns(); ++column) {
        most = excess_us(column) > excess_us(most) ? column : most;
    }
    if (most < layer_columns()) {
        late.layer = static_cast<std::int64_t>(most / phases.size());
        late.phase = static_cast<std::int64_t>(most % phases.size());
        late.cause = static_cast<std::int64_t>(LateCause::compute);
    } else {
        late.cause = static_cast<std::int64_t>(most - layer_columns());
    }
    late_.push_back(late);
}

void StragglerSearch::judge_window() {
    const WindowVerdict verdict =
        judge({ranks_, layer_columns(), columns(), excess_us_, others_us_});
    for (const Delay& delay : verdict.delays) {
        blames_.push_back({iterations_.front(), windows_, delay.rank, delay.column, delay.percent,
                           delay.excess_us});
    }
    needed_percent_.insert(needed_percent_.end(), verdict.needed_percent.begin(),
                           verdict.needed_percent.end());
    ++windows_;
}

std::vector<Sensitivity> StragglerSearch::sensitivity() const {
    std::vector<Sensitivity> all;
    std::vector<float> of_windows(windows_);
    for (std::size_t column = 0; windows_ > 0 && column < layer_columns(); ++column) {
        for (std::size_t window = 0; window < windows_; ++window) {
            of_windows[window] = needed_percent_[window * layer_columns() + column];
        }
        const auto middle = of_windows.begin() + static_cast<std::ptrdiff_t>(windows_ / 2);
        std::ranges::nth_element(of_windows, middle);
        all.push_back({static_cast<std::int64_t>(column / phases.size()),
                       static_cast<std::int64_t>(column % phases.size()),
                       std::isfinite(*middle) ? *middle : absent});
    }
    return all;
}

std::vector<Straggler> StragglerSearch::stragglers() const {
    std::map<std::pair<std::size_t, std::size_t>, std::vector<const Blame*>> found;
    for (const Blame& blame : blames_) {
        found[{blame.rank, blame.column}].push_back(&blame);
    }
    std::vector<Straggler> all;
    for (const auto& [which, blames] : found) {
        if (static_cast<double>(blames.size()) <
            least_share_of_windows * static_cast<double>(windows_)) {
            continue;
        }
        const auto& [rank, column] = which;
        Straggler straggler;
        straggler.iteration = blames.front()->first_iteration;
        straggler.rank = static_cast<std::int64_t>(rank);
        if (column < layer_columns()) {
            straggler.layer = static_cast<std::int64_t>(column / phases.size());
            straggler.phase = static_cast<std::int64_t>(column % phases.size());
            straggler.cause = static_cast<std::int64_t>(LateCause::compute);
        } else {
            straggler.cause = static_cast<std::int64_t>(column - layer_columns());
        }
        std::vector<std::size_t> windows;
        for (const Blame* blame : blames) {
            windows.push_back(blame->window);
            straggler.percent += blame->percent / static_cast<double>(blames.size());
            straggler.excess_us += blame->excess_us / static_cast<double>(blames.size());
        }
        straggler.windows = std::ssize(windows);
        straggler.all_windows = static_cast<std::int64_t>(windows_);
        straggler.persistence = static_cast<std::int64_t>(persistence_of(windows, windows_));
        all.push_back(straggler);
    }
    std::ranges::sort(all, [](const Straggler& a, const Straggler& b) {
        return a.excess_us * static_cast<double>(a.windows) >
               b.excess_us * static_cast<double>(b.windows);
    });
    return all;
}

}  // namespace layerledger
