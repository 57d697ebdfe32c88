#include "experiment_table.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "facts.hpp"
#include "layerledger/base/text.hpp"
#include "schema.hpp"

namespace layerledger {
namespace {

constexpr int microsecond_decimals = 6;  // of a second

void add_header(CsvText& csv, std::span<const std::string> fact_columns) {
    for (const char* column :
         {"run", "file", "run_id", "date_created", "status", "level", "ranks", "per_rank_batch",
          "global_batch", "iterations", "measured_iterations", "iteration_ms", "images_per_s",
          "training_s", "validation_s", "first_loss", "last_loss", "peak_memory_bytes",
          "device_memory_bytes"}) {
        csv.text(column);
    }
    for (const int percent : Milestones::percents) {
        for (const char* quantity : {"time", "profiled", "layers", "accounted", "missing"}) {
            csv.text(text(quantity, '_', percent, "_s"));
        }
        csv.text(text("missing_", percent, "_percent"));
    }
    for (const std::string& column : fact_columns) {
        csv.text(column);
    }
    csv.end_row();
}

void add_summary(CsvText& csv, const RunSummary& run, const Milestones& milestones) {
    const double training_s = milestones.values().back().time_s;
    csv.text(run.status).text(run.level).number(run.ranks).number(run.batch_size);
    csv.number(run.ranks * run.batch_size);
    csv.number(run.committed_iterations).number(run.measured_iterations);
    csv.fixed(run.iteration_us / 1e3, microsecond_decimals).fixed(run.images_per_second, 3);
    csv.fixed(training_s, microsecond_decimals);
    csv.number(run.validation ? run.validation->seconds : std::numeric_limits<double>::quiet_NaN());
    for (const double loss : {run.first_loss, run.last_loss}) {
        if (run.committed_iterations > 0) {
            csv.number_or_nan(static_cast<float>(loss));
        } else {
            csv.absent();
        }
    }
    csv.fixed(run.memory.peak_bytes, 0);
    csv.fixed(run.memory.device_bytes, 0);
    for (const Milestone& milestone : milestones.values()) {
        csv.fixed(milestone.time_s, microsecond_decimals);
        csv.fixed(milestone.profiled_s, microsecond_decimals);
        csv.fixed(milestone.layers_s, microsecond_decimals);
        csv.fixed(milestone.accounted_s, microsecond_decimals);
        csv.fixed(milestone.missing_s, microsecond_decimals);
        csv.fixed(milestone.missing_percent, 4);
    }
}

/// Lines joined by "; ", because many tools take a line for a row.
std::string on_one_line(std::string_view value) {
    while (value.ends_with('\n')) {
        value.remove_suffix(1);
    }
    std::string joined;
    for (const char c : value) {
        joined += c == '\n' ? "; " : std::string(1, c);
    }
    return joined;
}

/// A column's name tells its unit, where the fact's own does not.
std::string unit_ending(const hdf5::File& file, std::string_view group, const std::string& name) {
    const std::string units =
        file.text_attribute(text('/', group, '/', name), "units").value_or("");
    return units == "us" || (units == "s" && name != "seconds") ? '_' + units : "";
}

}  // namespace

std::vector<ExperimentFact> experiment_facts(const hdf5::File& file) {
    std::vector<ExperimentFact> facts;
    std::vector<std::string_view> groups(schema::fact_groups.begin(), schema::fact_groups.end());
    groups.insert(groups.end(), schema::optional_fact_groups.begin(),
                  schema::optional_fact_groups.end());
    for (const std::string_view group : groups) {
        for (auto& [name, value] : read_facts(file, group)) {
            const bool is_whole_configuration = group == "config" && name == "text";
            if (!is_whole_configuration) {
                facts.push_back(
                    {text(group, '.', name, unit_ending(file, group, name)), on_one_line(value)});
            }
        }
    }
    return facts;
}

CsvText experiment_table(std::span<const ExperimentRow> rows) {
    std::vector<std::string> columns;
    std::unordered_set<std::string> known;
    for (const ExperimentRow& row : rows) {
        for (const ExperimentFact& fact : row.facts) {
            if (known.insert(fact.column).second) {
                columns.push_back(fact.column);
            }
        }
    }
    // A group's columns stay together when a later run brings more of them.
    const auto group_of = [](const std::string& column) {
        return column.substr(0, column.find('.'));
    };
    std::vector<std::string> groups;
    for (const std::string& column : columns) {
        if (std::ranges::find(groups, group_of(column)) == groups.end()) {
            groups.push_back(group_of(column));
        }
    }
    std::ranges::stable_sort(columns, {}, [&](const std::string& column) {
        return std::ranges::find(groups, group_of(column)) - groups.begin();
    });

    CsvText csv;
    add_header(csv, columns);
    for (const ExperimentRow& row : rows) {
        csv.text(row.run).text(row.summary.path).text(row.run_id).text(row.date_created);
        add_summary(csv, row.summary, row.milestones);
        std::unordered_map<std::string_view, std::string_view> values;
        for (const ExperimentFact& fact : row.facts) {
            values.emplace(fact.column, fact.value);
        }
        for (const std::string& column : columns) {
            const auto found = values.find(column);
            csv.text(found == values.end() ? std::string_view() : found->second);
        }
        csv.end_row();
    }
    return csv;
}

}  // namespace layerledger
