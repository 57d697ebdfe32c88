#include <algorithm>
#include <cmath>
#include <string_view>

#include "layerledger/base/text.hpp"
#include "layerledger/record/twin.hpp"
#include "summary_sections.hpp"

namespace layerledger {
namespace {

void add_memory(Table& table, const MemorySummary& memory) {
    const std::string expected =
        text(" (", bytes_text(memory.estimated_bytes), " expected for the training)");
    if (!std::isnan(memory.device_bytes)) {
        table.name("memory of a GPU")
            .end(text("at most ", bytes_text(memory.device_bytes), " on rank ", memory.device_rank,
                      expected, ", and ", bytes_text(memory.device_library_bytes),
                      " taken by libraries"));
    }
    if (!std::isnan(memory.peak_bytes)) {
        table.name("peak memory")
            .end(text(bytes_text(memory.peak_bytes), " in the process of rank ", memory.peak_rank,
                      std::isnan(memory.device_bytes) ? expected : std::string()));
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
    // A layer or two catch up in every run, behind whatever the device waited for.
    if (constexpr double much = 0.05; run.launch_bound_us > much * run.iteration_us) {
        table.name("launch-bound")
            .end(text(milliseconds(run.launch_bound_us),
                      " ms in layers where the device waits for launches (a larger batch helps, or "
                      "train.graph=on)"));
    }
    add_ranks(table, run);
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
