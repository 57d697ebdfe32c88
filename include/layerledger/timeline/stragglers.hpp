// Who arrives last, and which layer and phase, or what else, makes it late.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "layerledger/timeline/ledger.hpp"

namespace layerledger {

/// What besides its layers makes a rank late; in this order behind the layers' columns.
enum class LateCause : unsigned char { input, copy, idle, measurement, compute };
inline constexpr std::array<std::string_view, 5> late_cause_names{"input", "copy", "idle",
                                                                  "measurement", "compute"};

/// The rank that reached the last all-reduce of an iteration last.
struct LateIteration {
    std::int64_t iteration = 0;
    std::int64_t rank = 0;
    double late_us = absent;  ///< behind the median of the other ranks
    /// What exceeded the other ranks' median most; -1 where it was no layer.
    std::int64_t layer = -1;
    std::int64_t phase = -1;
    std::int64_t cause = 0;  ///< a LateCause
};

/// How often the same is found.
enum class Persistence : unsigned char { always, spells, random };
inline constexpr std::array<std::string_view, 3> persistence_names{"always", "in spells", "random"};

/// Something that is slower on one rank than on the others, by more than noise explains.
struct Straggler {
    std::int64_t iteration = 0;  ///< the first of the first window in which it was found
    std::int64_t rank = 0;
    std::int64_t layer = -1;
    std::int64_t phase = -1;
    std::int64_t cause = 0;
    double percent = 0;    ///< above the other ranks' median, mean of the windows
    double excess_us = 0;  ///< the same as a time, per iteration
    std::int64_t windows = 0;
    std::int64_t all_windows = 0;
    std::int64_t persistence = 0;  ///< a Persistence
};

/// How small a lasting delay of one layer's phase on one rank is named; what is smaller, noise
/// hides.
struct Sensitivity {
    std::int64_t iteration = 0;  ///< the layer: the order of these rows
    std::int64_t phase = 0;
    double percent = absent;  ///< of the other ranks' median, in the median window
};

/// Compares the ranks iteration by iteration, so that what all have in common does not count.
///
/// Each window of `window_iterations` is judged by itself. The excess of a column of a rank over
/// the other ranks' median, as a trimmed mean over the window, is a delay where it is above
/// `needed_errors` of its standard errors, and above `tolerated_excess` of that median by
/// `needed_errors_beyond_tolerated` of them. The error is of the winsorized variances of all ranks
/// together. So neither a few interrupts nor a noisy layer blame anyone, nor the small lasting
/// differences that caches and the placement of threads make.
///
/// Where a processor is slow, all layers are, by shares that differ. So a layer is blamed only as
/// far as it stands out from what the layers of its rank have in common: by `needed_spreads` of
/// their standard deviations and, where that is above the tolerated, by `needed_times_common` of
/// it. What they have in common is a delay of its own, of the rank's computing as a whole.
class StragglerSearch {
public:
    static constexpr std::size_t window_iterations = 20;
    static constexpr double tolerated_excess = 0.015;
    static constexpr double needed_errors = 5.5;
    static constexpr double needed_errors_beyond_tolerated = 2.5;
    static constexpr double needed_spreads = 4;
    static constexpr double needed_times_common = 3;
    /// Less than this is no delay that anyone waits for; nor is less than this share of what a rank
    /// does.
    static constexpr double least_excess_us = 0.5;
    static constexpr double least_share_of_layer = 0.0003;
    /// What is no layer is next to nothing on most ranks: of everything that a rank does.
    static constexpr double least_share_of_cause = 0.01;

    /// What shows in fewer of the windows is not told: in a long run chance shows something
    /// somewhere.
    static constexpr double least_share_of_windows = 0.01;

    StragglerSearch(std::size_t ranks, std::size_t layers);

    /// Columns of a rank: layers x phases, then the first four causes.
    [[nodiscard]] std::size_t columns() const noexcept { return layers_ * 3 + 4; }

    /// The next iteration. `times_us[rank * columns() + column]`, NaN is 0; `arrivals_us[rank]` on
    /// one clock, or empty where the clocks are not known well enough: then work tells who is last.
    void add(std::int64_t iteration, std::span<const float> times_us,
             std::span<const double> arrivals_us);

    [[nodiscard]] const std::vector<LateIteration>& late() const noexcept { return late_; }
    /// Of all whole windows so far, the dearest first.
    [[nodiscard]] std::vector<Straggler> stragglers() const;
    /// Of each layer's phases; nothing before a window is whole.
    [[nodiscard]] std::vector<Sensitivity> sensitivity() const;

private:
    struct Blame {
        std::int64_t first_iteration;
        std::size_t window, rank, column;  ///< the column behind the last: all layers
        double percent, excess_us;
    };
    void find_last(std::int64_t iteration, std::span<const double> arrivals_us);
    void judge_window();
    [[nodiscard]] std::size_t layer_columns() const noexcept;

    std::size_t ranks_;
    std::size_t layers_;
    std::vector<std::int64_t> iterations_;  // of the open window
    std::vector<float> excess_us_;          // [iteration of the window][column][rank]
    std::vector<float> others_us_;          // the median that it is above
    std::vector<float> previous_us_;        // updates of the iteration before come before this one
    std::vector<LateIteration> late_;
    std::vector<Blame> blames_;
    std::vector<float> needed_percent_;  // [window][layer x phase]
    std::size_t windows_ = 0;
};

}  // namespace layerledger
