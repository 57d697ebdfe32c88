#include "causality.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "event_table.hpp"
#include "row_reader.hpp"

namespace layerledger {
namespace {

/// Values that are in memory at once.
constexpr std::uint64_t piece_values = std::uint64_t{4} << 20;

/// Times within an iteration are floats: so large a share of one may be lost in rounding.
constexpr double rounding = 1.0 / (1U << 23U);

/// One bucket's all-reduce in one iteration, on rank 0's clock.
struct AllReduce {
    std::vector<double> entries_us, ends_us;  ///< by rank
    std::vector<double> errors_us;            ///< by rank, of either
};

/// By how much a rank left before the last one had entered.
struct Haste {
    double seeming_us = 0;  ///< taking the times as they are
    double certain_us = 0;  ///< whatever their errors
    std::int64_t rank = 0;  ///< that left
};

Haste haste_of(const AllReduce& all_reduce) {
    double last_us = -std::numeric_limits<double>::infinity();
    double earliest_last_us = last_us;
    for (std::size_t rank = 0; rank < all_reduce.entries_us.size(); ++rank) {
        const double entry_us = all_reduce.entries_us[rank];
        last_us = std::max(last_us, entry_us);
        earliest_last_us = std::max(earliest_last_us, entry_us - all_reduce.errors_us[rank]);
    }
    Haste haste;
    for (std::size_t rank = 0; rank < all_reduce.ends_us.size(); ++rank) {
        const double end_us = all_reduce.ends_us[rank];
        haste.seeming_us = std::max(haste.seeming_us, last_us - end_us);
        const double certain_us = earliest_last_us - end_us - all_reduce.errors_us[rank];
        if (certain_us > haste.certain_us) {
            haste.certain_us = certain_us;
            haste.rank = static_cast<std::int64_t>(rank);
        }
    }
    return haste;
}

/// Rows of a file that are in memory.
struct CrossedRows {
    CrossedRows(const hdf5::File& file, std::uint64_t first, std::uint64_t count)
        : iterations(read_rows<std::int64_t>(file, "iteration", first, count)),
          starts_ns(read_rows<std::int64_t>(file, "iteration_start", first, count)),
          entries_us(read_rows<float>(file, "bucket_start", first, count)),
          ends_us(read_rows<float>(file, "bucket_end", first, count)) {}

    std::vector<std::int64_t> iterations, starts_ns;
    std::vector<float> entries_us, ends_us;
};

/// NaN where the iteration was not recorded.
AllReduce all_reduce_of(const CrossedRows& rows, std::size_t row, std::size_t bucket,
                        std::size_t buckets, std::span<const double> bounds_us) {
    AllReduce all_reduce;
    const std::size_t ranks = bounds_us.size();
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        const std::size_t cell = row * ranks + rank;
        // Small numbers, so that nothing is lost in their differences.
        const double start_us =
            static_cast<double>(rows.starts_ns[cell] - rows.starts_ns[row * ranks]) / 1e3;
        const double entry_us = rows.entries_us[cell * buckets + bucket];
        const double end_us = rows.ends_us[cell * buckets + bucket];
        all_reduce.entries_us.push_back(start_us + entry_us);
        all_reduce.ends_us.push_back(start_us + end_us);
        all_reduce.errors_us.push_back(bounds_us[rank] + rounding * std::abs(end_us));
    }
    return all_reduce;
}

bool is_recorded(const AllReduce& all_reduce) {
    return std::ranges::none_of(all_reduce.ends_us, [](double us) { return std::isnan(us); });
}

void count(CausalityRecord& record, const Haste& haste, std::int64_t iteration,
           std::size_t bucket) {
    ++record.checked;
    if (haste.certain_us > 0) {
        ++record.violations;
        if (!(haste.certain_us <= record.worst_us)) {
            record.worst_us = haste.certain_us;
            record.worst_iteration = iteration;
            record.worst_bucket = static_cast<std::int64_t>(bucket);
            record.worst_rank = haste.rank;
        }
    } else if (haste.seeming_us > 0) {
        ++record.within_bounds;
    }
}

}  // namespace

ClockBounds::ClockBounds(std::span<const ClockRecord> readings, std::size_t ranks) {
    for (std::size_t at = 0; at + 2 * ranks <= readings.size(); at += ranks) {
        const auto before = readings.subspan(at, ranks);
        const auto after = readings.subspan(at + ranks, ranks);
        // A start's first reading has no drift, nor has it a line that comes from another start.
        if (std::isnan(after.front().drift)) {
            continue;
        }
        Stretch stretch{before.front().iteration, after.front().iteration, {}};
        for (std::size_t rank = 0; rank < ranks; ++rank) {
            const double drift = std::isnan(before[rank].drift) ? 0 : before[rank].drift;
            const auto elapsed_ns = static_cast<double>(after[rank].time_ns - before[rank].time_ns);
            const double grown_ns =
                static_cast<double>(after[rank].offset_ns - before[rank].offset_ns);
            const auto bound_ns =
                static_cast<double>(std::max(before[rank].bound_ns, after[rank].bound_ns));
            const double bound_us = (bound_ns + std::abs(grown_ns - drift * elapsed_ns)) / 1e3;
            stretch.bounds_us.push_back(bound_us);
            widest_us_ = std::max(widest_us_, bound_us);
        }
        stretches_.push_back(std::move(stretch));
    }
}

std::span<const double> ClockBounds::at(std::int64_t iteration) const {
    // The last one counts: a later start repeats iterations of an earlier one.
    for (auto stretch = stretches_.rbegin(); stretch != stretches_.rend(); ++stretch) {
        if (iteration >= stretch->first && iteration < stretch->end) {
            return stretch->bounds_us;
        }
    }
    return {};
}

std::optional<CausalityRecord> find_causality(const hdf5::File& file) {
    const auto committed =
        static_cast<std::uint64_t>(file.integer_attribute("/", "committed_iterations").value_or(0));
    if (committed == 0 || !file.contains("bucket") || !file.contains("bucket_end")) {
        return {};
    }
    const hdf5::Extent extent = file.extent("bucket_end");
    const std::size_t ranks = extent[1];
    const std::size_t buckets = extent[2];
    const std::vector<ClockRecord> clocks = read_clocks(file);
    if (ranks < 2 || clocks.empty()) {
        return {};
    }
    const ClockBounds bounds(clocks, ranks);
    CausalityRecord record;
    record.widest_bound_us = bounds.widest_us();
    const std::uint64_t at_once = std::max<std::uint64_t>(1, piece_values / (ranks * buckets));
    for (std::uint64_t first = 0; first < committed; first += at_once) {
        const std::uint64_t count_here = std::min(at_once, committed - first);
        const CrossedRows rows(file, first, count_here);
        for (std::size_t row = 0; row < count_here; ++row) {
            const std::span<const double> bounds_us = bounds.at(rows.iterations[row]);
            for (std::size_t bucket = 0; bucket < buckets && !bounds_us.empty(); ++bucket) {
                const AllReduce all_reduce = all_reduce_of(rows, row, bucket, buckets, bounds_us);
                if (is_recorded(all_reduce)) {
                    count(record, haste_of(all_reduce), rows.iterations[row], bucket);
                }
            }
        }
    }
    return record;
}

}  // namespace layerledger
