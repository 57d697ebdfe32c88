// How often a layer that takes 5 % more on one rank of four is named, and how often somebody is
// named who is not slow, with the noise of a real run.
//
//   mpirun --map-by slot:PE=2 -n 4 layerledger train --network.architecture lenet5
//       --train.batch_size 64 --train.iterations 10200 --profile.warmup 200 --device.threads 1
//       --output.directory FOLDER --output.file run.h5
//   straggler_trials FOLDER/run.h5
//
// Where there are fewer than four cores, record one rank and four times the iterations: each four
// of them become those of four ranks, so that no rank is slower than another. What comes of a
// recording goes through the run file as any run does. Each window of a clean recording is judged
// twice: alone, as the only one of a short run, and in the run that it is part of.
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

/// The measured iterations of a run of one rank or of four.
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
        recorded_ = iteration_time_.size() / warmup.size();
        if (recorded_ != 1 && recorded_ != ranks) {
            throw std::runtime_error(
                text(path, " is of ", recorded_, " ranks: record one or ", ranks));
        }
    }

    [[nodiscard]] std::size_t size() const { return count_ * recorded_ / ranks; }
    [[nodiscard]] const std::vector<std::string>& layers() const { return layers_; }
    [[nodiscard]] std::size_t spans() const { return layers_.size() * phases.size(); }

    [[nodiscard]] double median_us(std::size_t span) const {
        std::vector<float> series;
        for (std::size_t i = first_ * recorded_; i < (first_ + count_) * recorded_; ++i) {
            series.push_back(layer_time_[i * spans() + span]);
        }
        std::ranges::nth_element(series, series.begin() + std::ssize(series) / 2);
        return series[series.size() / 2];
    }

    void fill(std::span<float> row, const RecordLayout& layout, std::size_t iteration,
              std::size_t rank) const {
        const std::size_t from = first_ * recorded_ + iteration * ranks +
                                 (recorded_ == 1 ? order_of(iteration)[rank] : rank);
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
    std::size_t first_ = 0, count_ = 0, recorded_ = 1;
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

/// Makes a run file of some iterations.
void write_run(const Recording& recording, std::size_t first, std::size_t count,
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
}

std::vector<Straggler> found_in(const Recording& recording, std::size_t first, std::size_t count,
                                const std::optional<Planted>& planted, const std::string& path) {
    write_run(recording, first, count, planted, path);
    return summarize(path).stragglers;
}

bool is_of(const Straggler& straggler, const Planted& planted) {
    return straggler.rank == static_cast<std::int64_t>(planted.rank) &&
           straggler.layer == static_cast<std::int64_t>(planted.span / phases.size()) &&
           straggler.phase == static_cast<std::int64_t>(planted.span % phases.size());
}

/// Not a rank that is slow as a whole: where other programs use the processors, some are.
bool is_specific(const Straggler& straggler) {
    return straggler.layer >= 0 || straggler.cause != static_cast<std::int64_t>(LateCause::compute);
}

std::string name_of(const Recording& recording, std::size_t span) {
    return text(recording.layers()[span / phases.size()], ' ', phase_names[span % phases.size()]);
}

/// Prints how long the spans take, and picks those of which 5 % is a delay.
std::vector<std::size_t> spans_to_slow(const Recording& recording) {
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
    return spans;
}

void print_sensitivity(const Recording& recording, const std::string& path) {
    std::vector<double> percents;
    write_run(recording, 0, recording.size() / trial_iterations * trial_iterations, {}, path);
    for (const Sensitivity& one : summarize(path).sensitivity) {
        const auto span = static_cast<std::size_t>(one.iteration) * phases.size() +
                          static_cast<std::size_t>(one.phase);
        if (recording.median_us(span) >= least_span_us) {
            percents.push_back(one.percent);
        }
    }
    std::ranges::sort(percents);
    std::cout << "by itself it says that delays are named from " << fixed(percents.front(), 1)
              << " to " << fixed(percents.back(), 1) << " % on, in these spans\n";
}

bool names_what_is_planted(const Recording& recording, const std::string& path) {
    const std::vector<std::size_t> spans = spans_to_slow(recording);
    const std::size_t windows = recording.size() / trial_iterations;
    std::size_t named = 0, exact = 0, blamed = 0;
    for (std::size_t trial = 0; trial < trials; ++trial) {
        const Planted planted{trial % ranks, spans[trial / ranks % spans.size()]};
        const std::vector<Straggler> found = found_in(recording, trial % windows * trial_iterations,
                                                      trial_iterations, planted, path);
        const auto right = std::ranges::count_if(
            found, [&](const Straggler& straggler) { return is_of(straggler, planted); });
        named += static_cast<std::size_t>(right > 0);
        exact += static_cast<std::size_t>(!found.empty() && is_of(found.front(), planted));
        blamed += static_cast<std::size_t>(std::ranges::count_if(found, is_specific)) -
                  static_cast<std::size_t>(right);
        if (right == 0) {
            std::cout << "not named: rank " << planted.rank << ' '
                      << name_of(recording, planted.span) << '\n';
        }
    }
    std::cout << "+5 %: rank, layer and phase named within " << trial_iterations
              << " iterations in " << named << " of " << trials << " trials"
              << (windows < trials ? text(" in ", windows, " windows") : "") << ", first of all in "
              << exact << ", another layer or cause in " << blamed << '\n';
    return named >= trials * 99 / 100;
}

void print(const Recording& recording, const Straggler& straggler) {
    std::cout << "  rank " << straggler.rank << ' '
              << (straggler.layer < 0
                      ? std::string(late_cause_names[static_cast<std::size_t>(straggler.cause)])
                      : name_of(recording,
                                static_cast<std::size_t>(straggler.layer) * phases.size() +
                                    static_cast<std::size_t>(straggler.phase)))
              << ": " << fixed(straggler.percent, 1) << " %, " << fixed(straggler.excess_us, 1)
              << " us, from iteration " << straggler.iteration << ", " << straggler.windows
              << " of " << straggler.all_windows << " windows\n";
}

bool blames_nobody(const Recording& recording, const std::string& path) {
    const std::size_t windows =
        std::min(most_clean_iterations, recording.size()) / trial_iterations;
    std::size_t blamed = 0, slow_ranks = 0;
    for (std::size_t window = 0; window < windows; ++window) {
        const std::vector<Straggler> wrong =
            found_in(recording, window * trial_iterations, trial_iterations, {}, path);
        const auto specific = std::ranges::count_if(wrong, is_specific);
        blamed += static_cast<std::size_t>(specific > 0);
        slow_ranks += static_cast<std::size_t>(specific < std::ssize(wrong));
        for (const Straggler& straggler : wrong) {
            if (is_specific(straggler)) {
                std::cout << " window " << window << ':';
                print(recording, straggler);
            }
        }
    }
    std::cout << windows << " clean windows, each as if alone: a layer or cause blamed in "
              << blamed << ", a rank as a whole in " << slow_ranks << '\n';
    const std::vector<Straggler> wrong =
        found_in(recording, 0, windows * trial_iterations, {}, path);
    const auto specific = std::ranges::count_if(wrong, is_specific);
    std::cout << windows * trial_iterations << " clean iterations as one run: " << specific
              << " false blames, " << std::ssize(wrong) - specific << " ranks as a whole\n";
    for (const Straggler& straggler : wrong) {
        print(recording, straggler);
    }
    return blamed == 0 && specific == 0;
}

bool run(const std::string& recorded, const std::string& path) {
    const Recording recording(recorded);
    if (recording.size() < trial_iterations) {
        throw std::runtime_error(text("too short: of ", ranks, " ranks at least ", trial_iterations,
                                      " iterations after warm-up are needed"));
    }
    print_sensitivity(recording, path);
    const bool all_named = names_what_is_planted(recording, path);
    const bool nobody_blamed = blames_nobody(recording, path);
    std::filesystem::remove(path);
    return all_named && nobody_blamed;
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
