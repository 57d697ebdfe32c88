#include "straggler_window.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "layerledger/timeline/stragglers.hpp"

namespace layerledger {
namespace {

using Search = StragglerSearch;
constexpr std::size_t iterations = Search::window_iterations;
constexpr std::size_t trimmed = iterations * 3 / 10;  // at either end
/// What all layers of a rank have in common is the median of those that are not tiny.
constexpr double least_share_of_mean = 0.25;
constexpr std::size_t least_to_have_in_common = 4;

using Series = std::array<double, iterations>;

struct Trimmed {
    double mean = 0;
    double variance = 0;  ///< of the mean, from the winsorized values
};

Trimmed trimmed_mean(Series values) {
    std::ranges::sort(values);
    Trimmed result;
    for (std::size_t i = trimmed; i < iterations - trimmed; ++i) {
        result.mean += values[i] / static_cast<double>(iterations - 2 * trimmed);
    }
    std::fill_n(values.begin(), trimmed, values[trimmed]);
    std::fill_n(values.rbegin(), trimmed, values[iterations - 1 - trimmed]);
    double mean = 0;
    for (const double value : values) {
        mean += value / iterations;
    }
    double squares = 0;
    for (const double value : values) {
        squares += (value - mean) * (value - mean);
    }
    constexpr double kept = 1 - 2.0 * trimmed / iterations;
    result.variance = squares / (iterations - 1) / (kept * kept * iterations);
    return result;
}

/// One column of all ranks.
struct Column {
    std::vector<double> excess_us;
    std::vector<double> others_us;
    double error_us = 0;  ///< of `excess_us`, of all ranks together
};

Column estimate(const WindowTimes& times, std::size_t first, std::size_t last) {
    Column result;
    double variance = 0;
    for (std::size_t rank = 0; rank < times.ranks; ++rank) {
        Series excess{};
        Series beside{};
        for (std::size_t i = 0; i < iterations; ++i) {
            for (std::size_t column = first; column < last; ++column) {
                const std::size_t at = (i * times.columns + column) * times.ranks + rank;
                excess[i] += times.excess_us[at];
                beside[i] += times.others_us[at];
            }
        }
        const Trimmed own = trimmed_mean(excess);
        result.excess_us.push_back(own.mean);
        result.others_us.push_back(trimmed_mean(beside).mean);
        variance += own.variance / static_cast<double>(times.ranks);
    }
    result.error_us = std::sqrt(variance);
    return result;
}

/// What an excess must be above, so that neither noise nor small lasting differences explain it.
double needed_us(double others_us, double error_us) {
    return std::max(
        Search::needed_errors * error_us,
        Search::tolerated_excess * others_us + Search::needed_errors_beyond_tolerated * error_us);
}

double median(std::vector<double>& values) {
    const auto middle = values.begin() + std::ssize(values) / 2;
    std::ranges::nth_element(values, middle);
    return values.size() % 2 == 1 ? *middle
                                  : (*middle + *std::max_element(values.begin(), middle)) / 2;
}

/// What the layers of a rank have in common, as shares of the other ranks' times.
struct Common {
    double excess = 0;
    double spread = 0;  ///< standard deviation of single layers around it
};

Common common_of(std::span<const Column> layers, std::size_t rank) {
    double mean_us = 0;
    for (const Column& column : layers) {
        mean_us += column.others_us[rank] / static_cast<double>(layers.size());
    }
    std::vector<double> shares;
    for (const Column& column : layers) {
        if (column.others_us[rank] > least_share_of_mean * mean_us) {
            shares.push_back(column.excess_us[rank] / column.others_us[rank]);
        }
    }
    if (shares.size() < least_to_have_in_common) {
        return {};
    }
    Common common;
    common.excess = median(shares);
    for (double& share : shares) {
        share = std::abs(share - common.excess);
    }
    constexpr double normal_deviations = 1.4826;
    common.spread = normal_deviations * median(shares);
    return common;
}

/// A rank that is slow in all its layers is so in each by another share: none of them is the cause
/// unless it stands out from the others.
double needed_to_stand_out_us(const Column& column, std::size_t rank, const Common& common) {
    const double others_us = column.others_us[rank];
    const double spread = Search::needed_spreads * common.spread;
    const double slow = std::max(0.0, common.excess - Search::tolerated_excess);
    return std::max(needed_us(others_us, column.error_us), spread * others_us) +
           (std::max(0.0, common.excess) + Search::needed_times_common * slow) * others_us;
}

}  // namespace

WindowVerdict judge(const WindowTimes& times) {
    WindowVerdict verdict;
    std::vector<Column> columns;
    for (std::size_t column = 0; column < times.columns; ++column) {
        columns.push_back(estimate(times, column, column + 1));
    }
    const Column all_layers = estimate(times, 0, times.layer_columns);
    double usual_us = 0;  // of everything together on one rank
    for (const Column& column : columns) {
        for (const double others_us : column.others_us) {
            usual_us += others_us / static_cast<double>(times.ranks);
        }
    }
    const auto blame_where = [&](const Column& column, std::size_t which, std::size_t rank,
                                 double needed) {
        if (column.excess_us[rank] > needed) {
            verdict.delays.push_back({rank, which,
                                      100 * column.excess_us[rank] / column.others_us[rank],
                                      column.excess_us[rank]});
        }
    };
    const double least_us =
        std::max(Search::least_excess_us, Search::least_share_of_layer * usual_us);
    const std::span<const Column> layers = std::span(columns).first(times.layer_columns);
    std::vector<double> needed_shares(times.layer_columns);
    for (std::size_t rank = 0; rank < times.ranks; ++rank) {
        const Common common = common_of(layers, rank);
        for (std::size_t column = 0; column < layers.size(); ++column) {
            const double needed =
                std::max(least_us, needed_to_stand_out_us(layers[column], rank, common));
            blame_where(layers[column], column, rank, needed);
            needed_shares[column] +=
                needed / layers[column].others_us[rank] / static_cast<double>(times.ranks);
        }
        if (common.excess > Search::tolerated_excess) {
            blame_where(
                all_layers, times.columns, rank,
                std::max(least_us, needed_us(all_layers.others_us[rank], all_layers.error_us)));
        }
        for (std::size_t column = times.layer_columns; column < times.columns; ++column) {
            blame_where(
                columns[column], column, rank,
                std::max(Search::least_share_of_cause * usual_us,
                         needed_us(columns[column].others_us[rank], columns[column].error_us)));
        }
    }
    for (const double share : needed_shares) {
        verdict.needed_percent.push_back(static_cast<float>(100 * share));
    }
    return verdict;
}

}  // namespace layerledger
