// How often a layer that takes 5 % more on one rank of four is named, and how often somebody is
// named who is not slow, with the noise of a real run.
//
//   layerledger train --network.architecture lenet5 --train.batch_size 32 --train.iterations 40200
//       --profile.warmup 200 --device.threads 1 --output.directory FOLDER --output.file run.h5
//   straggler_trials FOLDER/run.h5
//
// The run is of one rank: each four of its iterations become those of four ranks, so that no rank
// is slower than another and every interrupt is a real one. What comes of them goes through the run
// file as any run does.
#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <filesystem>
#include <iostream>
#include <numeric>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "layerledger/base/phase.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/hdf5/file.hpp"
#include "layerledger/record/run_reader.hpp"
#include "layerledger/record/run_writer.hpp"

namespace layerledger {
namespace {

constexpr std::size_t ranks = 4;
constexpr std::size_t trials = 100;
constexpr std::size_t trial_iterations = StragglerSearch::window_iterations;
constexpr std::size_t most_clean_iterations = 10'000;
constexpr double injected = 0.05;
/// Of spans that take less, 5 % is less than what counts as a delay.
constexpr double least_span_us = StragglerSearch::least_excess_us / injected * 1.2;

/// The measured iterations of a run of one rank.
class Recording {
public:
    explicit Recording(const std::string& path)
        : file_(hdf5::File::open(path, hdf5::Access::read, hdf5::Locking::unlocked)) {
        const auto warmup = file_.read<std::uint8_t>("warmup");
        first_ = static_cast<std::size_t>(std::ranges::count(warmup, 1));
        count_ = warmup.size() - first_;
        layers_ = file_.read<std::string>("layer");
        layer_time_ = file_.read<float>("layer_time");
        activity_time_ = file_.read<float>("activity_time");
        unaccounted_ = file_.read<float>("unaccounted");
        iteration_time_ = file_.read<float>("iteration_time");
        if (iteration_time_.size() != warmup.size()) {
            throw std::runtime_error(path + " is of several ranks: record one");
        }
    }

    [[nodiscard]] std::size_t size() const { return count_ / ranks; }
    [[nodiscard]] const std::vector<std::string>& layers() const { return layers_; }
    [[nodiscard]] std::size_t spans() const { return layers_.size() * phases.size(); }

    [[nodiscard]] double median_us(std::size_t span) const {
        std::vector<float> series;
        for (std::size_t i = first_; i < first_ + count_; ++i) {
            series.push_back(layer_time_[i * spans() + span]);
        }
        std::ranges::nth_element(series, series.begin() + std::ssize(series) / 2);
        return series[series.size() / 2];
    }

    void fill(std::span<float> row, const RecordLayout& layout, std::size_t iteration,
              std::size_t rank) const {
        const std::size_t from = first_ + iteration * ranks + order_of(iteration)[rank];
        std::ranges::fill(row, absent);
        const auto copy = [&](const std::vector<float>& values, std::size_t width, std::size_t to) {
            std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(from * width), width,
                        row.begin() + static_cast<std::ptrdiff_t>(to));
        };
        copy(layer_time_, spans(), layout.layer_time);
        copy(activity_time_, activity_count, layout.activity_time);
        copy(unaccounted_, 1, layout.unaccounted);
        copy(iteration_time_, 1, layout.iteration_time);
    }

private:
    /// Which of four iterations is which rank's. By chance, because every fourth may meet the same
    /// tick of the system's clock.
    [[nodiscard]] static std::array<std::size_t, ranks> order_of(std::size_t iteration) {
        std::array<std::size_t, ranks> order{};
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::shuffle(order, std::minstd_rand(static_cast<std::uint32_t>(iteration + 1)));
        return order;
    }

    hdf5::File file_;
    std::size_t first_ = 0, count_ = 0;
    std::vector<std::string> layers_;
    std::vector<float> layer_time_, activity_time_, unaccounted_, iteration_time_;
};

RunDescription describe(const Recording& recording) {
    RunDescription run;
    run.title = "straggler_trials";
    run.run_id = "00000000-0000-4000-8000-000000000000";
    run.date_created = "2026-01-01T00:00:00Z";
    run.start.date = run.date_created;
    run.start.ranks = ranks;
    for (const std::string& layer : recording.layers()) {
        LayerDescription description;
        description.name = layer;
        run.layers.push_back(description);
    }
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        run.ranks.push_back({});
    }
    return run;
}

struct Planted {
    std::size_t rank = 0;
    std::size_t span = 0;  ///< layer x phase
};

/// What the run file of some iterations says about stragglers.
std::vector<Straggler> found_in(const Recording& recording, std::size_t first, std::size_t count,
                                const std::optional<Planted>& planted, const std::string& path) {
    const RunDescription run = describe(recording);
    const RecordLayout layout(run.extents());
    RunWriter writer(path, run, true);
    writer.set_block_iterations(std::min<std::size_t>(count, 1000));
    for (std::size_t done = 0; done < count; done += 1000) {
        RecordBlock block;
        const std::size_t here = std::min<std::size_t>(1000, count - done);
        block.rows.resize(ranks * here * layout.size);
        block.starts_ns.resize(ranks * here);
        for (std::size_t i = 0; i < here; ++i) {
            IterationFacts facts;
            facts.iteration = static_cast<std::int64_t>(done + i);
            block.facts.push_back(facts);
            for (std::size_t rank = 0; rank < ranks; ++rank) {
                const std::span<float> row =
                    std::span(block.rows).subspan((rank * here + i) * layout.size, layout.size);
                recording.fill(row, layout, first + done + i, rank);
                if (planted && planted->rank == rank) {
                    float& span_us = row[layout.layer_time + planted->span];
                    const auto more_us = static_cast<float>(injected * span_us);
                    span_us += more_us;
                    row[layout.iteration_time] += more_us;
                }
            }
        }
        writer.append(std::move(block));
    }
    if (!writer.finish(RunStatus::complete)) {
        throw std::runtime_error("the run file cannot be written");
    }
    return summarize(path).stragglers;
}

bool is_of(const Straggler& straggler, const Planted& planted) {
    return straggler.rank == static_cast<std::int64_t>(planted.rank) &&
           straggler.layer == static_cast<std::int64_t>(planted.span / phases.size()) &&
           straggler.phase == static_cast<std::int64_t>(planted.span % phases.size());
}

bool run(const std::string& recorded, const std::string& path) {
    const Recording recording(recorded);
    if (recording.size() < trials * trial_iterations) {
        throw std::runtime_error(text("too short: ", trials * trial_iterations * ranks,
                                      " iterations after warm-up are needed"));
    }
    std::vector<std::size_t> spans;
    for (std::size_t span = 0; span < recording.spans(); ++span) {
        const double us = recording.median_us(span);
        if (us >= least_span_us) {
            spans.push_back(span);
        }
        std::cout << (span % phases.size() == 0 ? text("\n", recording.layers()[span / 3], ":")
                                                : std::string())
                  << ' ' << fixed(us, 1);
    }
    std::cout << " us; slowed are the " << spans.size() << " of at least "
              << fixed(least_span_us, 0) << " us\n";

    std::size_t named = 0, exact = 0, blamed = 0;
    for (std::size_t trial = 0; trial < trials; ++trial) {
        const Planted planted{trial % ranks, spans[trial / ranks % spans.size()]};
        const std::vector<Straggler> found =
            found_in(recording, trial * trial_iterations, trial_iterations, planted, path);
        const auto right = std::ranges::count_if(
            found, [&](const Straggler& straggler) { return is_of(straggler, planted); });
        named += static_cast<std::size_t>(right > 0);
        exact += static_cast<std::size_t>(!found.empty() && is_of(found.front(), planted));
        blamed += found.size() - static_cast<std::size_t>(right);
        if (right == 0) {
            std::cout << "not named: rank " << planted.rank << ' '
                      << recording.layers()[planted.span / phases.size()] << ' '
                      << phase_names[planted.span % phases.size()] << '\n';
        }
    }
    std::cout << "+5 %: rank, layer and phase named within " << trial_iterations
              << " iterations in " << named << " of " << trials << " trials, first of all in "
              << exact << ", others named besides " << blamed << '\n';

    const std::size_t clean = std::min(most_clean_iterations, recording.size());
    const std::vector<Straggler> wrong = found_in(recording, 0, clean, {}, path);
    std::cout << clean << " clean iterations: " << wrong.size() << " false blames\n";
    for (const Straggler& straggler : wrong) {
        std::cout << "  rank " << straggler.rank << ", layer " << straggler.layer << ", phase "
                  << straggler.phase << ", "
                  << late_cause_names[static_cast<std::size_t>(straggler.cause)] << ": "
                  << fixed(straggler.percent, 1) << " %, " << fixed(straggler.excess_us, 1)
                  << " us, from iteration " << straggler.iteration << ", " << straggler.windows
                  << " of " << straggler.all_windows << " windows\n";
    }
    std::filesystem::remove(path);
    return named >= 99 && wrong.empty();
}

}  // namespace
}  // namespace layerledger

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "straggler_trials RUN.h5\n";
        return 64;
    }
    try {
        const std::filesystem::path recorded = argv[1];
        return layerledger::run(recorded.string(), recorded.string() + ".trial") ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
