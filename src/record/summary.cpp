#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <limits>
#include <system_error>
#include <thread>

#include "event_table.hpp"
#include "facts.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/record/run_reader.hpp"
#include "measured_rows.hpp"
#include "median.hpp"
#include "open_run_file.hpp"
#include "peak_memory.hpp"
#include "row_reader.hpp"
#include "schema.hpp"

namespace layerledger {
namespace {

constexpr double no_value = std::numeric_limits<double>::quiet_NaN();

class Mean {
public:
    void add(double value) {
        if (!std::isnan(value)) {
            sum_ += value;
            ++count_;
        }
    }
    [[nodiscard]] double value() const {
        return count_ > 0 ? sum_ / static_cast<double>(count_) : no_value;
    }

private:
    double sum_ = 0;
    std::int64_t count_ = 0;
};

/// Medians of an array [iteration, rank, item, phase].
struct PhaseTimes {
    std::vector<double> time_us;  ///< per item and phase: medians, mean over ranks
    std::vector<double> mean_us;  ///< per item and phase: means over iterations and ranks
    std::vector<double> sum_us;   ///< per rank: median of the sum over items and phases
};

/// Calls `work(index)` for 0 .. count - 1, on as many threads as there are cores.
template <class Work>
void in_parallel(std::uint64_t count, const Work& work) {
    const std::uint64_t threads =
        std::clamp<std::uint64_t>(std::thread::hardware_concurrency(), 1, count);
    std::vector<std::jthread> others;
    const auto share = [&](std::uint64_t first) {
        for (std::uint64_t i = first; i < count; i += threads) {
            work(i);
        }
    };
    for (std::uint64_t thread = 1; thread < threads; ++thread) {
        others.emplace_back(share, thread);
    }
    share(0);
}

PhaseTimes phase_times(const hdf5::File& file, const std::string& dataset, const Rows& rows) {
    const hdf5::Extent extent = file.extent(dataset);
    const std::size_t chosen = rows.chosen.size();
    std::vector<Mean> medians_of_ranks(extent[2] * extent[3]);
    std::vector<Mean> means_of_ranks(extent[2] * extent[3]);
    PhaseTimes times;
    std::vector<std::vector<double>> sums;  // [rank][chosen row], over the pieces of these ranks

    for_each_piece(file, dataset, rows, [&](const Piece& piece) {
        if (piece.first_column == 0) {
            sums.assign(piece.ranks, std::vector<double>(chosen, no_value));
        }
        std::vector<double> medians(piece.ranks * piece.width);
        std::vector<double> means(piece.ranks * piece.width);
        in_parallel(piece.ranks, [&](std::uint64_t rank) {
            std::vector<float> series;
            series.reserve(chosen);
            for (std::uint64_t column = 0; column < piece.width; ++column) {
                series.clear();
                Mean mean;
                for (std::size_t i = 0; i < chosen; ++i) {
                    const float value = piece.at(rows.chosen[i], rank, column);
                    if (!std::isnan(value)) {
                        double& sum = sums[rank][i];
                        sum = std::isnan(sum) ? value : sum + value;
                        mean.add(value);
                        series.push_back(value);
                    }
                }
                means[rank * piece.width + column] = mean.value();
                medians[rank * piece.width + column] = median(series);
            }
        });
        for (std::size_t i = 0; i < medians.size(); ++i) {
            const std::uint64_t column = piece.first_column + i % piece.width;
            medians_of_ranks[column].add(medians[i]);
            means_of_ranks[column].add(means[i]);
        }
        if (piece.first_column + piece.width == medians_of_ranks.size()) {
            for (std::vector<double>& of_rank : sums) {
                times.sum_us.push_back(median(of_rank));
            }
        }
    });
    std::ranges::transform(medians_of_ranks, std::back_inserter(times.time_us), &Mean::value);
    std::ranges::transform(means_of_ranks, std::back_inserter(times.mean_us), &Mean::value);
    return times;
}

std::array<double, 3> three(const std::vector<double>& values, std::size_t item) {
    return {values[item * 3], values[item * 3 + 1], values[item * 3 + 2]};
}

void summarize_iterations(const hdf5::File& file, const Rows& rows, RunSummary& summary) {
    std::vector<double> slowest(rows.chosen.size(), no_value);
    std::vector<double> worst_percent(rows.chosen.size(), no_value);
    std::vector<double> series(rows.chosen.size());
    Mean iteration;
    for_each_piece(file, "iteration_time", rows, [&](const Piece& piece) {
        const auto unaccounted = file.read<float>("unaccounted", piece.slab);
        for (std::uint64_t rank = 0; rank < piece.ranks; ++rank) {
            series.resize(rows.chosen.size());
            for (std::size_t i = 0; i < series.size(); ++i) {
                const std::uint64_t row = rows.chosen[i];
                series[i] = piece.at(row, rank, 0);
                slowest[i] = std::fmax(slowest[i], series[i]);
                iteration.add(series[i]);
                // What is counted twice makes it negative and is as wrong.
                const double unaccounted_us = std::abs(unaccounted[row * piece.ranks + rank]);
                worst_percent[i] = std::fmax(worst_percent[i], unaccounted_us / series[i] * 100);
            }
            summary.rank[piece.first_rank + rank].iteration_us = median(series);
        }
    });
    summary.iteration_us = median(slowest);
    summary.mean_iteration_us = iteration.value();
    summary.images_per_second =
        static_cast<double>(summary.ranks * summary.batch_size) / summary.iteration_us * 1e6;
    summary.unaccounted_median_percent = median(worst_percent);  // leaves only what is there
    summary.unaccounted_worst_percent =
        worst_percent.empty() ? no_value : *std::ranges::max_element(worst_percent);
}

void summarize_layers(const hdf5::File& file, const Rows& rows, RunSummary& summary) {
    const PhaseTimes times = phase_times(file, "layer_time", rows);
    for (std::size_t layer = 0; layer < summary.layers.size(); ++layer) {
        summary.layers[layer].time_us = three(times.time_us, layer);
        summary.layers[layer].mean_us = three(times.mean_us, layer);
    }
    for (std::size_t rank = 0; rank < summary.rank.size(); ++rank) {
        summary.rank[rank].compute_us = times.sum_us[rank];
        const double slowest =
            summary.rank[static_cast<std::size_t>(summary.slowest_rank)].compute_us;
        if (std::isnan(slowest) || times.sum_us[rank] > slowest) {
            summary.slowest_rank = static_cast<std::int64_t>(rank);
        }
    }
    if (summary.ops.empty()) {
        return;
    }
    const PhaseTimes of_ops = phase_times(file, "op_time", rows);
    for (std::size_t op = 0; op < summary.ops.size(); ++op) {
        summary.ops[op].time_us = three(of_ops.time_us, op);
        summary.ops[op].mean_us = three(of_ops.mean_us, op);
    }
}

void summarize_activities(const hdf5::File& file, const Rows& rows, RunSummary& summary) {
    std::array<Mean, activity_count> activities;
    for_each_piece(file, "activity_time", rows, [&](const Piece& piece) {
        for (const std::uint32_t row : rows.chosen) {
            for (std::uint64_t rank = 0; rank < piece.ranks; ++rank) {
                for (std::uint64_t column = 0; column < piece.width; ++column) {
                    activities.at(piece.first_column + column).add(piece.at(row, rank, column));
                }
            }
        }
    });
    std::ranges::transform(activities, summary.activity_us.begin(), &Mean::value);

    const auto mean_of = [&](const char* column) {
        Mean mean;
        for_each_piece(file, column, rows, [&](const Piece& piece) {
            for (const std::uint32_t row : rows.chosen) {
                for (std::uint64_t rank = 0; rank < piece.ranks; ++rank) {
                    mean.add(piece.at(row, rank, 0));
                }
            }
        });
        return mean.value();
    };
    summary.allreduce_hidden_us = mean_of("allreduce_hidden");
    summary.launch_bound_us = file.contains("launch_bound") ? mean_of("launch_bound") : no_value;
}

void summarize_loss(const hdf5::File& file, std::uint64_t committed, RunSummary& summary) {
    summary.first_loss = file.read<float>("loss", hdf5::Slab{{0}, {1}}).front();
    summary.last_loss = file.read<float>("loss", hdf5::Slab{{committed - 1}, {1}}).front();
}

/// Values of a variable that older files do not have: NaN for each of `count`.
template <class Number>
std::vector<double> values_or_nothing(const hdf5::File& file, const char* dataset,
                                      std::size_t count) {
    if (!file.contains(dataset)) {
        return std::vector<double>(count, no_value);
    }
    const auto values = file.read<Number>(dataset);
    return {values.begin(), values.end()};
}

void summarize_memory(const hdf5::File& file, RunSummary& summary) {
    MemorySummary& memory = summary.memory;
    const auto of_layers = [&](const char* dataset) {
        return values_or_nothing<std::int64_t>(file, dataset, summary.layers.size());
    };
    memory.parameter_bytes = memory.gradient_bytes = memory.optimizer_bytes = 0;
    memory.activation_bytes = memory.largest_workspace_bytes = 0;
    const auto workspace = of_layers("layer_workspace_bytes");
    for (std::size_t i = 0; i < summary.layers.size(); ++i) {
        summary.layers[i].memory_bytes = workspace[i];
        memory.largest_workspace_bytes = std::max(memory.largest_workspace_bytes, workspace[i]);
    }
    for (const auto& [dataset, sum] :
         {std::pair{"layer_parameter_bytes", &memory.parameter_bytes},
          std::pair{"layer_gradient_bytes", &memory.gradient_bytes},
          std::pair{"layer_optimizer_bytes", &memory.optimizer_bytes},
          std::pair{"layer_activation_bytes", &memory.activation_bytes}}) {
        const auto values = of_layers(dataset);
        for (std::size_t i = 0; i < values.size(); ++i) {
            summary.layers[i].memory_bytes += values[i];
            *sum += values[i];
        }
    }
    const std::vector<PeakMemory> peaks = read_peak_memory(file);
    const auto estimates =
        values_or_nothing<std::int64_t>(file, "estimated_memory", summary.rank.size());
    for (std::size_t rank = 0; rank < peaks.size(); ++rank) {
        const PeakMemory& peak = peaks[rank];
        if (std::isnan(memory.peak_bytes) || peak.process_bytes > memory.peak_bytes) {
            memory.peak_bytes = peak.process_bytes;
            memory.peak_rank = static_cast<std::int64_t>(rank);
        }
        if (std::isnan(memory.device_bytes) || peak.device_bytes > memory.device_bytes) {
            memory.device_bytes = peak.device_bytes;
            memory.device_library_bytes = peak.device_library_bytes;
            memory.device_rank = static_cast<std::int64_t>(rank);
        }
    }
    const std::int64_t of_estimate =
        std::isnan(memory.device_bytes) ? memory.peak_rank : memory.device_rank;
    if (static_cast<std::size_t>(of_estimate) < estimates.size()) {
        memory.estimated_bytes = estimates[static_cast<std::size_t>(of_estimate)];
    }
}

/// By rank; empty where there are no iterations to count.
std::vector<double> last_shares(const std::vector<LateIteration>& late, std::size_t ranks) {
    std::vector<double> shares(late.empty() ? 0 : ranks);
    for (const LateIteration& one : late) {
        shares.at(static_cast<std::size_t>(one.rank)) += 1 / static_cast<double>(late.size());
    }
    return shares;
}

/// What is in the file before the first iteration.
/// Nothing where the file system does not say.
std::optional<double> seconds_since_last_write(const std::string& path) {
    std::error_code failure;
    const auto written = std::filesystem::last_write_time(path, failure);
    const std::chrono::duration<double> age =
        std::filesystem::file_time_type::clock::now() - written;
    return failure ? std::nullopt : std::optional(std::max(age.count(), 0.0));
}

/// 0 where the text is none.
std::int64_t number_in(const std::string& text) {
    std::int64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

RunSummary summarize_description(const hdf5::File& file, const std::string& path) {
    const auto attribute = [&](const char* name) {
        return file.text_attribute("/", name).value_or("");
    };
    const auto number = [&](const char* name) {
        return file.integer_attribute("/", name).value_or(0);
    };
    RunSummary summary;
    summary.path = path;
    summary.title = attribute("title");
    summary.status = attribute("status");
    summary.level = attribute("level");
    summary.network = read_fact(file, "network", "name");
    summary.backend = read_fact(file, "network", "backend");
    summary.batch_size = number("per_rank_batch");
    summary.committed_iterations = number("committed_iterations");
    summary.skipped_images = number("skipped_images");
    summary.dropped_iterations = number("dropped_iterations");
    summary.missing_iterations = number("missing_iterations");
    summary.lost_checkpoints = number("lost_checkpoints");
    summary.dropped_spans = number("dropped_spans");
    if (summary.status == schema::name(RunStatus::running)) {
        summary.silent_seconds = seconds_since_last_write(path);
    }
    summary.overhead = read_overhead(file);
    summary.validation = read_validation(file);
    summary.topk = std::min(number_in(read_fact(file, "config", "train.topk")),
                            number_in(read_fact(file, "network", "classes")));
    summary.twin = read_twin(file);
    summary.staging = read_staging(file);
    summary.causality = read_causality(file);
    summary.starts = read_starts(file);
    summary.stragglers = read_stragglers(file);
    summary.sensitivity = read_sensitivity(file);
    summary.anatomy = read_anatomy(file);
    summary.kernels = read_kernel_samples(file);
    summary.injection = read_fact(file, "config", "profile.inject");

    for (std::string& host : file.read<std::string>("hostname")) {
        summary.rank.push_back({std::move(host), no_value, no_value});
    }
    summary.ranks = static_cast<std::int64_t>(summary.rank.size());
    summary.last_share = last_shares(read_late(file), summary.rank.size());

    constexpr std::array nothing{no_value, no_value, no_value};
    const auto names = file.read<std::string>("layer");
    const auto kinds = file.read<std::string>("layer_kind");
    const auto parameters = file.read<std::int64_t>("layer_parameters");
    const auto flops = file.read<double>("layer_flops");
    for (std::size_t layer = 0; layer < names.size(); ++layer) {
        summary.layers.push_back({names[layer], kinds.at(layer), nothing, nothing,
                                  three(flops, layer), parameters.at(layer), no_value});
    }
    if (file.contains("op")) {
        const auto op_names = file.read<std::string>("op");
        const auto op_kinds = file.read<std::string>("op_kind");
        const auto op_layers = file.read<std::int32_t>("op_layer");
        for (std::size_t op = 0; op < op_names.size(); ++op) {
            summary.ops.push_back(
                {op_names[op], op_kinds.at(op), op_layers.at(op), nothing, nothing});
        }
    }
    summarize_memory(file, summary);
    summary.activity_us.fill(no_value);
    summary.mean_iteration_us = no_value;
    summary.iteration_us = summary.images_per_second = summary.allreduce_hidden_us =
        summary.launch_bound_us = no_value;
    summary.unaccounted_median_percent = summary.unaccounted_worst_percent = no_value;
    summary.first_loss = summary.last_loss = no_value;
    return summary;
}

}  // namespace

RunIdentity identify_run(const std::string& path) {
    const hdf5::File file = open_run_file(path);
    try {
        const std::optional<ValidationRecord> validation = read_validation(file);
        const auto committed = static_cast<std::uint64_t>(
            file.integer_attribute("/", "committed_iterations").value_or(0));
        return {
            file.text_attribute("/", "run_id").value_or(""),
            file.text_attribute("/", "status").value_or(""),
            file.contains("rank") ? static_cast<std::int64_t>(file.extent("rank").at(0)) : 0,
            read_facts(file, "config"),
            static_cast<std::int64_t>(committed),
            validation ? validation->iteration : -1,
            read_fact(file, "provenance", "data_digest"),
            file.text_attribute("/", "schema_version") == schema::version,
            committed == 0
                ? -1
                : file.read<std::int64_t>("iteration", hdf5::Slab{{committed - 1}, {1}}).front()};
    } catch (const std::exception& error) {
        throw damaged(path, error);
    }
}

RunSummary summarize(const std::string& path) {
    const hdf5::File file = open_run_file(path);
    try {
        RunSummary summary = summarize_description(file, path);
        if (summary.committed_iterations == 0) {
            return summary;
        }
        const auto committed = static_cast<std::uint64_t>(summary.committed_iterations);
        summarize_loss(file, committed, summary);
        const Rows rows = measured_rows(file, committed);
        summary.measured_iterations = static_cast<std::int64_t>(rows.chosen.size());
        if (!rows.chosen.empty()) {
            summarize_iterations(file, rows, summary);
            summarize_layers(file, rows, summary);
            summarize_activities(file, rows, summary);
        }
        return summary;
    } catch (const std::exception& error) {
        throw damaged(path, error);
    }
}

}  // namespace layerledger
