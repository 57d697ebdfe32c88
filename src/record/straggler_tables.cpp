#include "straggler_tables.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "causality.hpp"
#include "event_table.hpp"
#include "layerledger/base/phase.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/timeline/activity.hpp"
#include "layerledger/timeline/stragglers.hpp"
#include "measured_rows.hpp"
#include "median.hpp"
#include "row_reader.hpp"

namespace layerledger {
namespace {

/// Floats that are in memory at once.
constexpr std::uint64_t piece_floats = std::uint64_t{16} << 20;

/// Lateness is refused where the clocks may be wrong by more than this share of an iteration.
constexpr double largest_bound_share = 0.05;

/// Why the clocks do not say by how much a rank was late; empty where they do.
std::string refusal(const hdf5::File& file, const Rows& rows, std::uint64_t ranks) {
    const ClockBounds bounds(read_clocks(file), ranks);
    if (bounds.is_empty()) {
        return "the clocks were not read before and after";
    }
    std::vector<double> medians_us;  // over the ranks
    const auto add_rows = [&](std::uint64_t first, const std::vector<std::uint64_t>& chosen) {
        const auto times = read_rows<float>(file, "iteration_time", first, chosen.back() + 1);
        for (const std::uint64_t row : chosen) {
            const auto of_row = std::span(times).subspan(row * ranks, ranks);
            std::vector<float> times_us(of_row.begin(), of_row.end());
            medians_us.push_back(median(times_us));
        }
    };
    for_each_slab(rows, ranks, piece_floats, file.chunk("iteration_time").front(), add_rows);
    const double worst_us = bounds.widest_us();
    const double iteration_us = median(medians_us);
    return worst_us <= largest_bound_share * iteration_us
               ? ""
               : text("the clocks are known to ", fixed(worst_us, 1),
                      " us only, an iteration takes ", fixed(iteration_us, 1), " us");
}

/// When each rank's last gradients existed, in microseconds on rank 0's clock.
std::vector<double> arrivals_us(std::span<const std::int64_t> starts_ns,
                                std::span<const float> ready_us, std::size_t buckets) {
    std::vector<double> arrivals;
    for (std::size_t rank = 0; rank < starts_ns.size(); ++rank) {
        arrivals.push_back(static_cast<double>(starts_ns[rank]) / 1e3 +
                           ready_us[rank * buckets + buckets - 1]);
    }
    const bool is_whole = std::ranges::none_of(arrivals, [](double us) { return std::isnan(us); });
    return is_whole ? arrivals : std::vector<double>{};
}

/// Columns of `StragglerSearch` behind the layers'.
std::array<float, 4> causes_us(std::span<const float> activities, float unaccounted_us) {
    const auto us = [&](Activity activity) {
        const float value = activities[index(activity)];
        return std::isnan(value) ? 0.0F : value;
    };
    return {us(Activity::input_wait), us(Activity::memcpy_h2d) + us(Activity::memcpy_d2h),
            us(Activity::idle_launch) + us(Activity::idle_other) +
                (std::isnan(unaccounted_us) ? 0.0F : unaccounted_us),
            us(Activity::measurement)};
}

void search_rows(const hdf5::File& file, const Rows& rows, bool has_clocks,
                 StragglerSearch& search) {
    const hdf5::Extent extent = file.extent("layer_time");
    const std::size_t ranks = extent[1];
    const std::size_t of_layers = extent[2] * extent[3];
    const std::size_t buckets = file.contains("bucket") ? file.extent("bucket").front() : 0;
    std::vector<float> times(ranks * search.columns());
    const auto add_rows = [&](std::uint64_t first, const std::vector<std::uint64_t>& chosen) {
        const std::uint64_t count = chosen.back() + 1;
        const auto iterations = read_rows<std::int64_t>(file, "iteration", first, count);
        const auto layers = read_rows<float>(file, "layer_time", first, count);
        const auto activities = read_rows<float>(file, "activity_time", first, count);
        const auto unaccounted = read_rows<float>(file, "unaccounted", first, count);
        std::vector<std::int64_t> starts;
        std::vector<float> ready;
        if (has_clocks && buckets > 0) {
            starts = read_rows<std::int64_t>(file, "iteration_start", first, count);
            ready = read_rows<float>(file, "bucket_ready", first, count);
        }
        for (const std::uint64_t row : chosen) {
            for (std::size_t rank = 0; rank < ranks; ++rank) {
                const std::size_t cell = row * ranks + rank;
                const auto of_rank =
                    times.begin() + static_cast<std::ptrdiff_t>(rank * search.columns());
                std::copy_n(layers.begin() + static_cast<std::ptrdiff_t>(cell * of_layers),
                            of_layers, of_rank);
                const auto causes =
                    causes_us(std::span(activities).subspan(cell * activity_count, activity_count),
                              unaccounted[cell]);
                std::ranges::copy(causes, of_rank + static_cast<std::ptrdiff_t>(of_layers));
            }
            search.add(iterations[row], times,
                       starts.empty() ? std::vector<double>{}
                                      : arrivals_us(std::span(starts).subspan(row * ranks, ranks),
                                                    std::span(ready).subspan(row * ranks * buckets,
                                                                             ranks * buckets),
                                                    buckets));
        }
    };
    for_each_slab(rows, ranks * (of_layers + activity_count + buckets), piece_floats, file.chunk("layer_time").front(),
                  add_rows);
}

}  // namespace

void write_stragglers(hdf5::File& file) {
    const auto committed =
        static_cast<std::uint64_t>(file.integer_attribute("/", "committed_iterations").value_or(0));
    if (committed == 0 || !file.contains("late")) {
        return;
    }
    const hdf5::Extent extent = file.extent("layer_time");
    const std::string level = file.text_attribute("/", "level").value_or("");
    const Rows rows = measured_rows(file, committed);
    if (extent[1] < 2 || level == "off" || level == "iteration" || rows.chosen.empty()) {
        return;
    }
    const std::string refused = refusal(file, rows, extent[1]);
    StragglerSearch search(extent[1], extent[2]);
    search_rows(file, rows, refused.empty(), search);
    write_events(file, search.late(), 0);
    write_events(file, search.stragglers(), 0);
    write_events(file, search.sensitivity(), 0);
    file.set_attribute("late/late_by", "refused", refused);
}

}  // namespace layerledger
