#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "layerledger/base/phase.hpp"
#include "layerledger/base/text.hpp"
#include "median.hpp"
#include "summary_sections.hpp"

namespace layerledger {
namespace {

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

}  // namespace

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

}  // namespace layerledger
