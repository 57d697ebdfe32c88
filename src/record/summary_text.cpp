#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "layerledger/base/phase.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/record/run_reader.hpp"
#include "layerledger/record/twin.hpp"
#include "median.hpp"

namespace layerledger {
namespace {

constexpr int number_width = 13;
constexpr int bar_width = 20;

/// "-" where there is no value.
std::string shown(double value, int decimals, double scale = 1) {
    return std::isnan(value) ? "-" : fixed(value * scale, decimals);
}

std::string milliseconds(double us) {
    return shown(us, 3, 1e-3);
}

std::string mebibytes(double bytes) {
    return shown(bytes, 1, 1.0 / (1024 * 1024));
}

/// "6.9078 -> 2.2500"; a loss that is no finite number says what that means.
std::string loss_text(const RunSummary& run) {
    if (run.committed_iterations == 0 || std::isfinite(run.last_loss)) {
        return text(shown(run.first_loss, 4), " -> ", shown(run.last_loss, 4));
    }
    return text(shown(run.first_loss, 4), " -> ",
                std::isnan(run.last_loss) ? "not a number" : "infinite", " (training diverged)");
}

/// A bar of eighths of a character would be finer, but not every terminal and log shows it.
std::string bar(double share) {
    if (std::isnan(share)) {
        return "";
    }
    const double cells = std::clamp(share, 0.0, 1.0) * bar_width;
    return std::string(static_cast<std::size_t>(std::lround(cells)), '#');
}

double sum_of_present(const std::array<double, 3>& values) {
    double sum = std::numeric_limits<double>::quiet_NaN();
    for (const double value : values) {
        if (!std::isnan(value)) {
            sum = std::isnan(sum) ? value : sum + value;
        }
    }
    return sum;
}

/// Of the phases that were measured; absent where there is no work or no time.
double gflops_per_second(const LayerSummary& layer) {
    double flops = 0;
    double time_us = 0;
    for (const Phase phase : phases) {
        if (!std::isnan(layer.time_us[index(phase)])) {
            flops += layer.flops[index(phase)];
            time_us += layer.time_us[index(phase)];
        }
    }
    return flops > 0 && time_us > 0 ? flops / time_us * 1e-3
                                    : std::numeric_limits<double>::quiet_NaN();
}

/// Lines of one name and columns of numbers.
class Table {
public:
    explicit Table(std::size_t name_width) : name_width_(static_cast<int>(name_width)) {}

    Table& name(const std::string& text) {
        line_ << "  " << std::left << std::setw(name_width_) << text << std::right;
        return *this;
    }
    Table& cell(const std::string& text) {
        line_ << std::setw(number_width) << text;
        return *this;
    }
    Table& end(const std::string& tail = "") {
        std::string text = line_.str() + tail;
        text.erase(text.find_last_not_of(' ') + 1);
        done_ += text + '\n';
        line_.str("");
        return *this;
    }
    [[nodiscard]] const std::string& str() const { return done_; }

private:
    int name_width_;
    std::ostringstream line_;
    std::string done_;
};

/// "12 s for 10 files, 1.2 MiB", of the node that took longest and got most.
std::string staging_text(const StagingRecord& staging) {
    const std::string set = text("a set of ", staging.set_files, " files, ",
                                 bytes_text(static_cast<double>(staging.set_bytes)));
    if (staging.skipped_nodes == staging.nodes) {
        return text(set, ", was up to date (", duration_text(staging.seconds), ")");
    }
    return text(duration_text(staging.seconds), " for ", staging.files, " files, ",
                bytes_text(static_cast<double>(staging.bytes)), " of ", set,
                staging.nodes == 1 ? ""
                                   : text(", on ", staging.nodes, " nodes (", staging.skipped_nodes,
                                          " were up to date)"));
}

/// "2026-11-24T03:16:23Z, 2 ranks, after iteration 40 from runs/a.checkpoints/..."
std::string start_text(const StartRecord& start) {
    return text(start.date, ", ", start.ranks, start.ranks == 1 ? " rank" : " ranks",
                start.checkpoint.empty()
                    ? ""
                    : text(", after iteration ", start.iteration, " from ", start.checkpoint));
}

/// Of a run that was started several times: how it came about.
void add_starts(Table& table, const std::vector<StartRecord>& starts) {
    if (starts.size() < 2) {
        return;
    }
    constexpr std::size_t shown_starts = 4;
    table.name("starts").end(text(starts.size(), ", the first ", start_text(starts.front())));
    const std::size_t first = starts.size() > shown_starts ? starts.size() - shown_starts + 1 : 1;
    for (std::size_t i = first; i < starts.size(); ++i) {
        table.name("").end(start_text(starts[i]));
    }
}

void add_header(Table& table, const RunSummary& run) {
    const auto fact = [&table](const std::string& name, const std::string& value) {
        table.name(name).end(value);
    };
    fact("network", run.network.empty() ? "-" : run.network);
    fact("ranks", text(run.ranks, " x batch ", run.batch_size, " = ", run.ranks * run.batch_size,
                       " images an iteration"));
    fact("backend", text(run.backend.empty() ? "-" : run.backend, ", level ", run.level));
    fact("iterations", text(run.committed_iterations, ", ", run.measured_iterations,
                            " measured after warm-up, run ", run.status));
    if (const std::string running = running_text(run); !running.empty()) {
        fact("", running);
    }
    if (run.dropped_iterations > 0) {
        fact("", text(run.dropped_iterations, " more were lost (the file could not be written)"));
    }
    if (run.missing_iterations > 0) {
        fact("", text(run.missing_iterations,
                      " more are missing (an earlier start ended before they were written)"));
    }
    if (run.dropped_spans > 0) {
        fact("",
             text(run.dropped_spans, " spans did not fit and are missing: times are too small"));
    }
    add_starts(table, run.starts);
    fact("iteration",
         text(milliseconds(run.iteration_us), " ms (median of the slowest rank); ",
              milliseconds(run.mean_iteration_us), " ms in the mean, of which the shares are"));
    fact("throughput", text(shown(run.images_per_second, 1), " images/s"));
    fact("loss", loss_text(run));
    if (run.staging) {
        fact("staging", staging_text(*run.staging));
    }
    if (run.validation) {
        const ValidationRecord& validation = *run.validation;
        fact("validation",
             text("top-1 ", shown(validation.top1, 2, 100), " %, top-k ",
                  shown(validation.topk, 2, 100), " %, loss ", shown(validation.loss, 4), " on ",
                  validation.images, " images after iteration ", validation.iteration, " (",
                  duration_text(validation.seconds), ")"));
    }
    if (run.skipped_images > 0) {
        fact("skipped",
             text(run.skipped_images, run.skipped_images == 1
                                          ? " image could not be read and was replaced"
                                          : " images could not be read and were replaced"));
    }
}

/// `share` is of the mean iteration: the usual times of the phases do not add up to anything.
void add_times(Table& table, const std::string& name, const std::array<double, 3>& time_us,
               double share, const std::string& rate, const std::string& memory) {
    table.name(name);
    for (const double phase_us : time_us) {
        table.cell(milliseconds(phase_us));
    }
    table.cell(shown(share, 2, 100)).cell(rate).cell(memory).end("  " + bar(share));
}

bool has_layer_times(const RunSummary& run) {
    return std::ranges::any_of(run.layers, [](const LayerSummary& layer) {
        return !std::isnan(sum_of_present(layer.time_us));
    });
}

/// What is left to say of layers that were not timed.
void add_layer_memory(Table& table, const RunSummary& run) {
    table.name("layer").cell("memory MiB").end();
    for (const LayerSummary& layer : run.layers) {
        table.name(layer.name).cell(mebibytes(layer.memory_bytes)).end();
    }
}

void add_layers(Table& table, const RunSummary& run) {
    table.name("layer");
    for (const std::string_view phase : phase_names) {
        table.cell(text(phase, " ms"));
    }
    table.cell("share %").cell("GFLOP/s").cell("memory MiB").end();
    std::array<double, 3> totals{};
    totals.fill(std::numeric_limits<double>::quiet_NaN());
    std::array<double, 3> mean_totals = totals;
    const auto add = [](std::array<double, 3>& sums, const std::array<double, 3>& values) {
        for (std::size_t phase = 0; phase < sums.size(); ++phase) {
            sums[phase] = sum_of_present(
                {sums[phase], values[phase], std::numeric_limits<double>::quiet_NaN()});
        }
    };
    const auto share = [&run](const std::array<double, 3>& mean_us) {
        return sum_of_present(mean_us) / run.mean_iteration_us;
    };
    for (std::size_t i = 0; i < run.layers.size(); ++i) {
        const LayerSummary& layer = run.layers[i];
        add_times(table, layer.name, layer.time_us, share(layer.mean_us),
                  shown(gflops_per_second(layer), 1), mebibytes(layer.memory_bytes));
        for (const OpSummary& op : run.ops) {
            if (op.layer == static_cast<std::int32_t>(i)) {
                add_times(table, "  " + op.name, op.time_us, share(op.mean_us), "", "");
            }
        }
        add(totals, layer.time_us);
        add(mean_totals, layer.mean_us);
    }
    add_times(table, "all layers", totals, share(mean_totals), "", "");
}

/// Dashes tell what is missing of an account; where there is none, nothing is missing.
void add_activities(Table& table, const RunSummary& run) {
    const bool has_account = has_layer_times(run);
    const auto is_absent = [](double value) { return std::isnan(value); };
    if (!has_account && std::ranges::all_of(run.activity_us, is_absent)) {
        return;
    }
    table.name("besides").cell("mean ms").cell("share %").end();
    for (std::size_t i = 0; i < activity_count; ++i) {
        if (!has_account && is_absent(run.activity_us[i])) {
            continue;
        }
        const double share = run.activity_us[i] / run.mean_iteration_us;
        table.name(std::string(activity_names[i]))
            .cell(milliseconds(run.activity_us[i]))
            .cell(shown(share, 2, 100))
            .end("  " + bar(share));
    }
    if (has_account || !is_absent(run.unaccounted_median_percent)) {
        table.name("unaccounted")
            .cell("")
            .cell(shown(run.unaccounted_median_percent, 2))
            .end(text("  in the worst iteration ", shown(run.unaccounted_worst_percent, 2), " %"));
    }
    table.end();
}

/// Which rank makes the others wait, and by how much; empty where no layer was timed.
std::string slowest_rank_text(const RunSummary& run) {
    if (run.slowest_rank >= run.ranks || run.ranks != std::ssize(run.rank)) {
        return "";
    }
    const RankSummary& slowest = run.rank[static_cast<std::size_t>(run.slowest_rank)];
    if (std::isnan(slowest.compute_us)) {
        return "";
    }
    std::vector<double> compute_us;
    for (const RankSummary& rank : run.rank) {
        compute_us.push_back(rank.compute_us);
    }
    const std::string who = text(run.slowest_rank, " on ", slowest.host, ": ",
                                 milliseconds(slowest.compute_us), " ms in its layers");
    const double more = slowest.compute_us / median(compute_us) - 1;
    return run.ranks == 1 ? who : text(who, ", ", shown(more, 2, 100), " % above the median rank");
}

/// Where the all-reduce of each bucket spent its time.
void add_anatomy(Table& table, const RunSummary& run) {
    const bool has_times = std::ranges::any_of(
        run.anatomy, [](const BucketAnatomy& bucket) { return !std::isnan(bucket.transfer_us); });
    if (!has_times) {
        return;
    }
    table.name("bucket");
    for (const char* column : {"hidden ms", "exposed ms", "wait ms", "transfer ms", "zero skew",
                               "alg GB/s", "bus GB/s"}) {
        table.cell(column);
    }
    table.end();
    for (const BucketAnatomy& bucket : run.anatomy) {
        table.name(text(bucket.iteration));
        for (const double us : {bucket.hidden_us, bucket.exposed_us, bucket.wait_us,
                                bucket.transfer_us, bucket.zero_skew_us}) {
            table.cell(milliseconds(us));
        }
        table.cell(shown(bucket.algorithm_bandwidth, 2)).cell(shown(bucket.bus_bandwidth, 2)).end();
    }
    table.end();
}

/// Rows of one layer's phase, or of one kind of copies: the median of what `value` takes from them.
template <class Row, class Chosen, class Value>
double median_of(const std::vector<Row>& rows, const Chosen& is_chosen, const Value& value) {
    std::vector<double> values;
    for (const Row& row : rows) {
        if (is_chosen(row)) {
            values.push_back(value(row));
        }
    }
    return median(values);
}

/// How far the marks' times are from CUPTI's in layers that take long enough to say so.
void add_mark_errors(Table& table, const RunSummary& run) {
    constexpr double least_us = 100;
    double worst = absent;
    std::string where;
    std::size_t layers = 0;
    for (std::size_t layer = 0; layer < run.layers.size(); ++layer) {
        for (const Phase phase : phases) {
            const auto is_this = [&](const KernelRecord& row) {
                return row.layer == static_cast<std::int64_t>(layer) &&
                       row.phase == static_cast<std::int64_t>(index(phase)) &&
                       row.seen_us > least_us;
            };
            const double error = median_of(run.kernels.kernels, is_this, [](const auto& row) {
                return std::abs(row.error_us) / row.seen_us;
            });
            layers += std::isnan(error) ? 0U : 1U;
            if (std::isnan(worst) || error > worst) {
                worst = error;
                where = text(run.layers[layer].name, " ", name(phase));
            }
        }
    }
    table.name("marks").end(
        layers == 0 ? std::string("no layer takes 0.1 ms, too short to hold them against CUPTI")
                    : text("within ", shown(worst, 2, 100), " % of CUPTI's times in ", layers,
                           " layers' phases above 0.1 ms (worst: ", where, ")"));
}

/// What the devices were seen to do inside the layers, in a few iterations.
void add_kernels(Table& table, const RunSummary& run) {
    if (run.kernels.samples.empty()) {
        return;
    }
    table.name("inside the layers");
    for (const char* column : {"fwd busy %", "bwd busy %", "upd busy %", "idle ms", "kernels"}) {
        table.cell(column);
    }
    table.end();
    for (std::size_t layer = 0; layer < run.layers.size(); ++layer) {
        table.name(run.layers[layer].name);
        double idle_us = 0;
        double kernels = 0;
        for (const Phase phase : phases) {
            const auto is_this = [&](const KernelRecord& row) {
                return row.layer == static_cast<std::int64_t>(layer) &&
                       row.phase == static_cast<std::int64_t>(index(phase));
            };
            const auto of = [&](const auto& value) {
                return median_of(run.kernels.kernels, is_this, value);
            };
            table.cell(
                shown(of([](const auto& row) { return row.busy_us / row.marked_us; }), 1, 100));
            idle_us += of([](const auto& row) { return row.idle_us; });
            kernels += of([](const auto& row) { return static_cast<double>(row.kernels); });
        }
        table.cell(milliseconds(idle_us)).cell(shown(kernels, 0)).end();
    }
    for (std::size_t kind = 0; kind < copy_kind_names.size(); ++kind) {
        const auto is_this = [&](const CopyRecord& row) {
            return row.kind == static_cast<std::int64_t>(kind);
        };
        const auto of = [&](const auto& value) {
            return median_of(run.kernels.copies, is_this, value);
        };
        if (std::ranges::any_of(run.kernels.copies, is_this)) {
            table.name(text("copies ", copy_kind_names.at(kind)))
                .end(text(milliseconds(of([](const auto& row) { return row.time_us; })),
                          " ms, of it ",
                          milliseconds(of([](const auto& row) { return row.hidden_us; })),
                          " ms under layers' kernels; ", bytes_text(of([](const auto& row) {
                              return static_cast<double>(row.bytes);
                          }))));
        }
    }
    add_mark_errors(table, run);
    std::int64_t lost = 0;
    for (const SampleRecord& sample : run.kernels.samples) {
        lost += sample.dropped > 0 || std::isnan(sample.busy_us) ? 1 : 0;
    }
    table.name("").end(text("by CUPTI, medians of ", std::ssize(run.kernels.samples) - lost,
                            " sampled iterations (of all ranks)",
                            lost > 0 ? text("; ", lost, " more lost records") : ""));
    table.end();
}

/// "conv2 backward of rank 1: 0.120 ms (6.3 %) more than on the others, always"
std::string straggler_text(const Straggler& straggler, const RunSummary& run) {
    const auto at = [](const auto& names, std::int64_t i) {
        return std::string(names.at(static_cast<std::size_t>(i)));
    };
    const std::string what =
        straggler.layer >= 0 ? text(run.layers.at(static_cast<std::size_t>(straggler.layer)).name,
                                    " ", at(phase_names, straggler.phase))
                             : at(late_cause_names, straggler.cause);
    return text(what, " of rank ", straggler.rank, ": ", milliseconds(straggler.excess_us), " ms (",
                shown(straggler.percent, 1), " %) more than on the others, ",
                at(persistence_names, straggler.persistence), " (", straggler.windows, " of ",
                straggler.all_windows, " windows)");
}

/// Who comes last, and what makes it so.
void add_stragglers(Table& table, const RunSummary& run) {
    if (!run.last_share.empty()) {
        const auto most = std::ranges::max_element(run.last_share);
        table.name("arrives last")
            .end(text("rank ", most - run.last_share.begin(), " in ", shown(*most, 1, 100),
                      " % of the iterations"));
    }
    constexpr std::size_t shown_stragglers = 3;
    for (std::size_t i = 0; i < std::min(run.stragglers.size(), shown_stragglers); ++i) {
        table.name(i == 0 ? "stragglers" : "").end(straggler_text(run.stragglers[i], run));
    }
    if (run.stragglers.size() > shown_stragglers) {
        table.name("").end(text(run.stragglers.size() - shown_stragglers, " more in the file"));
    }
    if (!run.injection.empty()) {
        table.name("slowed on purpose").end(run.injection);
    }
}

/// Whether the clocks, brought onto one, put causes before their effects.
void add_causality(Table& table, const CausalityRecord& causality) {
    const std::string known =
        text(" (clocks known to ", fixed(causality.widest_bound_us, 1), " us or better)");
    if (causality.violations == 0) {
        table.name("clocks").end(text("in none of ", causality.checked,
                                      " all-reduces a rank leaves before the last one comes",
                                      known));
        return;
    }
    table.name("clocks").end(text("WRONG: in ", causality.violations, " of ", causality.checked,
                                  " all-reduces a rank leaves before the last one comes", known));
    table.name("").end(text("most in iteration ", causality.worst_iteration, ", bucket ",
                            causality.worst_bucket, ": rank ", causality.worst_rank, " by ",
                            fixed(causality.worst_us, 1), " us more than that allows"));
}

void add_memory(Table& table, const MemorySummary& memory) {
    if (!std::isnan(memory.peak_bytes)) {
        table.name("peak memory")
            .end(text(bytes_text(memory.peak_bytes), " in the process of rank ", memory.peak_rank,
                      " (", bytes_text(memory.estimated_bytes), " expected for the training)"));
    }
    if (!std::isnan(memory.gradient_bytes)) {
        table.name("memory of a rank")
            .end(text("parameters ", bytes_text(memory.parameter_bytes), ", gradients ",
                      bytes_text(memory.gradient_bytes), ", optimizer ",
                      bytes_text(memory.optimizer_bytes), ", activations ",
                      bytes_text(memory.activation_bytes), ", workspace at most ",
                      bytes_text(memory.largest_workspace_bytes)));
    }
}

void add_notes(Table& table, const RunSummary& run) {
    if (!std::isnan(run.allreduce_hidden_us)) {
        table.name("hidden all-reduce")
            .end(text(milliseconds(run.allreduce_hidden_us), " ms under the layers' work"));
    }
    if (const std::string slowest = slowest_rank_text(run); !slowest.empty()) {
        table.name("slowest rank").end(slowest);
    }
    add_stragglers(table, run);
    if (run.causality && run.causality->checked > 0) {
        add_causality(table, *run.causality);
    }
    add_memory(table, run.memory);
    if (run.overhead) {
        const OverheadRecord& overhead = *run.overhead;
        table.name("cost of profiling")
            .end(text(shown(overhead.percent, 2), " % of the iteration (95 % interval ",
                      shown(overhead.low, 2), " to ", shown(overhead.high, 2), ", ", overhead.pairs,
                      " pairs), of which measurement ", shown(overhead.measurement_percent, 2),
                      " %"));
    }
    if (run.twin) {
        table.name("twin, unprofiled").end(to_text(*run.twin));
    }
}

}  // namespace

std::string running_text(const RunSummary& summary) {
    return summary.silent_seconds ? text("last written ", duration_text(*summary.silent_seconds),
                                         " ago: if its job is gone, it was cut off there")
                                  : std::string();
}

std::string to_text(const RunSummary& run) {
    std::size_t name_width = std::string_view("allreduce_transfer").size();
    for (const LayerSummary& layer : run.layers) {
        name_width = std::max(name_width, layer.name.size());
    }
    for (const OpSummary& op : run.ops) {
        name_width = std::max(name_width, op.name.size() + 2);
    }
    Table table(name_width + 2);
    table.end(run.title.empty() ? run.path : text(run.title, ": ", run.path));
    add_header(table, run);
    table.end();
    if (has_layer_times(run)) {
        add_layers(table, run);
    } else {
        add_layer_memory(table, run);
    }
    table.end();
    add_activities(table, run);
    add_anatomy(table, run);
    add_kernels(table, run);
    add_notes(table, run);
    return table.str();
}

}  // namespace layerledger
