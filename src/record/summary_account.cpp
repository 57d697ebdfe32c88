#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string_view>

#include "layerledger/base/phase.hpp"
#include "layerledger/base/text.hpp"
#include "summary_sections.hpp"

namespace layerledger {
namespace {

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

/// `share` is of the mean iteration: the usual times of the phases do not add up to anything.
void add_times(Table& table, const std::string& name, const std::array<double, 3>& time_us,
               double share, const std::string& rate, const std::string& memory) {
    table.name(name);
    for (const double phase_us : time_us) {
        table.cell(milliseconds(phase_us));
    }
    table.cell(shown(share, 2, 100)).cell(rate).cell(memory).end("  " + bar(share));
}

}  // namespace

bool has_layer_times(const RunSummary& run) {
    return std::ranges::any_of(run.layers, [](const LayerSummary& layer) {
        return !std::isnan(sum_of_present(layer.time_us));
    });
}

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

}  // namespace layerledger
