#include "layerledger/record/twin.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <vector>

#include "facts.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/timeline/median_interval.hpp"
#include "measured_rows.hpp"
#include "median.hpp"
#include "open_for_commit.hpp"
#include "open_run_file.hpp"

namespace layerledger {
namespace {

/// What one of the two runs took.
struct Duration {
    double mean_us = 0;
    double median_us = 0;
    std::optional<Interval> interval_us;  ///< of the median
    double training_seconds = 0;          ///< all iterations
};

/// Each row's time on its slowest rank.
std::vector<double> slowest(const hdf5::File& file, const Rows& rows) {
    std::vector<double> slowest_us(rows.chosen.size(), 0);
    for_each_piece(file, "iteration_time", rows, [&](const Piece& piece) {
        for (std::size_t i = 0; i < slowest_us.size(); ++i) {
            for (std::uint64_t rank = 0; rank < piece.ranks; ++rank) {
                slowest_us[i] = std::max<double>(slowest_us[i], piece.at(rows.chosen[i], rank, 0));
            }
        }
    });
    return slowest_us;
}

double sum(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

/// Each of two medians lies within its interval with this confidence, so both do with 95 %.
constexpr double confidence_of_each = 0.975;
constexpr std::size_t most_blocks = 40;

/// Neighbouring iterations resemble each other. The medians of blocks of them hardly do, so that
/// the interval does not promise more than it holds.
std::vector<double> block_medians(const std::vector<double>& values) {
    const std::size_t blocks = std::min(values.size(), most_blocks);
    std::vector<double> medians;
    for (std::size_t i = 0; i < blocks; ++i) {
        const auto edge = [&](std::size_t block) {
            return values.begin() + static_cast<std::ptrdiff_t>(block * values.size() / blocks);
        };
        std::vector<double> block(edge(i), edge(i + 1));
        medians.push_back(median(block));
    }
    return medians;
}

Duration duration_in(const hdf5::File& file, const std::string& path) {
    const auto committed = static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, file.integer_attribute("/", "committed_iterations").value_or(0)));
    const Rows rows = committed > 0 ? measured_rows(file, committed) : Rows{};
    LL_VALIDATE(!rows.chosen.empty(), ExitCode::bad_data,
                text("'", path,
                     "' has no iterations after its warm-up (nothing can be compared) "
                     "raise train.iterations or lower profile.warmup"));
    Rows all{0, committed, std::vector<std::uint32_t>(committed)};
    std::iota(all.chosen.begin(), all.chosen.end(), 0U);
    std::vector<double> measured_us = slowest(file, rows);
    const auto interval_us = median_interval(block_medians(measured_us), confidence_of_each);
    return {sum(measured_us) / static_cast<double>(measured_us.size()), median(measured_us),
            interval_us, sum(slowest(file, all)) * 1e-6};
}

Duration duration_of(const std::string& path) {
    const hdf5::File file = open_run_file(path);
    try {
        return duration_in(file, path);
    } catch (const std::exception& error) {
        throw damaged(path, error);
    }
}

double percent_more(double value, double than) {
    return (value / than - 1) * 100;
}

std::string with_sign(double percent) {
    return text(percent < 0 ? "" : "+", fixed(percent, 2), " %");
}

}  // namespace

TwinRecord compare_twins(const std::string& profiled_file, const std::string& unprofiled_file) {
    const Duration profiled = duration_of(profiled_file);
    const Duration unprofiled = duration_of(unprofiled_file);
    TwinRecord twin;
    twin.median_percent = percent_more(profiled.median_us, unprofiled.median_us);
    if (profiled.interval_us && unprofiled.interval_us) {
        twin.median_low = percent_more(profiled.interval_us->low, unprofiled.interval_us->high);
        twin.median_high = percent_more(profiled.interval_us->high, unprofiled.interval_us->low);
    }
    twin.percent = percent_more(profiled.mean_us, unprofiled.mean_us);
    twin.profiled_us = profiled.mean_us;
    twin.unprofiled_us = unprofiled.mean_us;
    twin.profiled_seconds = profiled.training_seconds;
    twin.unprofiled_seconds = unprofiled.training_seconds;
    return twin;
}

void store_twin(const std::string& profiled_file, const TwinRecord& twin) {
    try {
        OpenForCommit open = open_for_commit(profiled_file);
        write_facts(open.file, twin);
        open.file.flush();
        open.file.close();
    } catch (const Error& error) {
        throw Error(ExitCode::data_lost,
                    text("cannot write the comparison to '", profiled_file, "' (", error.what(),
                         ") its two runs are whole; make room, and start it again"));
    }
}

std::string to_text(const TwinRecord& twin) {
    const std::string interval =
        std::isnan(twin.median_low)
            ? "too few iterations for an interval"
            : text("95 % interval ", fixed(twin.median_low, 2), " to ", fixed(twin.median_high, 2),
                   twin.median_high < 0
                       ? "; profiling makes nothing faster: the machine was not the same in both"
                       : "");
    return text(
        with_sign(twin.median_percent), " of the median iteration (", interval, "); training ",
        with_sign(percent_more(twin.profiled_seconds, twin.unprofiled_seconds)), " (",
        fixed(twin.profiled_seconds, 3), " s against ", fixed(twin.unprofiled_seconds, 3),
        " s), mean iteration ", with_sign(twin.percent), " (", fixed(twin.profiled_us * 1e-3, 3),
        " ms against ", fixed(twin.unprofiled_us * 1e-3, 3), " ms)");
}

}  // namespace layerledger
