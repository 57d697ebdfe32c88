#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "block_reader.hpp"
#include "experiment_table.hpp"
#include "layerledger/base/csv.hpp"
#include "layerledger/base/output_file.hpp"
#include "layerledger/base/phase.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/record/export.hpp"
#include "layerledger/record/run_reader.hpp"
#include "open_run_file.hpp"

namespace layerledger {
namespace {

/// One table that is written as it is made.
class Table {
public:
    Table(const std::string& folder, std::string_view name)
        : file_((std::filesystem::path(folder) / name).string()) {}

    CsvText& row() { return csv_; }
    void end_row() {
        csv_.end_row();
        ++rows_;
        constexpr std::size_t enough = std::size_t{64} << 10;
        if (csv_.str().size() > enough) {
            write_out();
        }
    }
    void sync() {
        write_out();
        file_.sync();
    }
    ExportedFile commit() {
        file_.commit();
        return {file_.path(), rows_ - 1};
    }

private:
    void write_out() {
        file_.write(csv_.str());
        csv_.clear();
    }

    OutputFile file_;
    CsvText csv_;
    std::uint64_t rows_ = 0;
};

void add_header(Table& table, std::initializer_list<const char*> columns) {
    for (const char* column : columns) {
        table.row().text(column);
    }
}

void add_layers(Table& table, const std::string& run, const std::vector<std::string>& names,
                const IterationBlock& block) {
    auto time = block.layer_time.begin();
    for (std::uint64_t row = 0; row < block.rows; ++row) {
        for (std::uint64_t rank = 0; rank < block.ranks; ++rank) {
            for (const std::string& layer : names) {
                const auto next = time + phases.size();
                if (!std::all_of(time, next, [](float value) { return std::isnan(value); })) {
                    table.row().text(run).number(static_cast<std::int64_t>(rank));
                    table.row().number(block.iteration[row]).text(layer);
                    std::for_each(time, next, [&](float us) { table.row().thousandths(us); });
                    table.row().number(std::int64_t{block.warmup[row]});
                    table.end_row();
                }
                time = next;
            }
        }
    }
}

void add_iterations(Table& table, const std::string& run, const IterationBlock& block) {
    for (std::uint64_t row = 0; row < block.rows; ++row) {
        for (std::uint64_t rank = 0; rank < block.ranks; ++rank) {
            const std::uint64_t at = row * block.ranks + rank;
            CsvText& csv = table.row();
            csv.text(run).number(static_cast<std::int64_t>(rank));
            csv.number(std::int64_t{block.epoch[row]}).number(block.iteration[row]);
            csv.thousandths(block.iteration_time[at]).thousandths(block.layers_time(row, rank));
            for (std::uint64_t i = 0; i < activity_count; ++i) {
                csv.thousandths(block.activity_time[at * activity_count + i]);
            }
            csv.thousandths(block.unaccounted[at]);
            csv.number_or_nan(block.loss[row]).number(block.top1[row]).number(block.topk[row]);
            csv.number(std::int64_t{block.warmup[row]});
            table.end_row();
        }
    }
}

/// The name that each run goes by: its title, or its path where another run has the same title.
std::vector<std::string> names_of(std::span<const std::string> run_files) {
    std::map<std::string, int> uses;
    std::vector<std::string> names;
    for (const std::string& path : run_files) {
        names.push_back(open_run_file(path).text_attribute("/", "title").value_or(""));
        ++uses[names.back()];
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (names[i].empty() || uses[names[i]] > 1) {
            names[i] = run_files[i];
        }
    }
    return names;
}

/// Adds a run to the two long tables and returns its row of the short one.
ExperimentRow add_run(Table& layers, Table& iterations, const std::string& run,
                      const std::string& path) {
    RunSummary summary = summarize(path);
    const hdf5::File file = open_run_file(path);
    try {
        // The file may have grown since the summary was made of it.
        const auto rows = static_cast<std::uint64_t>(summary.committed_iterations);
        BlockReader reader(file, rows);
        Milestones milestones(rows);
        const auto names = file.read<std::string>("layer");
        for (IterationBlock block; reader.next(block);) {
            add_layers(layers, run, names, block);
            add_iterations(iterations, run, block);
            milestones.add(block);
        }
        return {run,
                file.text_attribute("/", "run_id").value_or(""),
                file.text_attribute("/", "date_created").value_or(""),
                std::move(summary),
                milestones,
                experiment_facts(file)};
    } catch (const std::exception& error) {
        throw damaged(path, error);
    }
}

}  // namespace

std::vector<ExportedFile> export_csv(std::span<const std::string> run_files,
                                     const std::string& folder, std::string_view prefix) {
    const std::vector<std::string> names = names_of(run_files);
    make_folder(folder);
    Table layers(folder, text(prefix, csv_names[0]));
    Table iterations(folder, text(prefix, csv_names[1]));
    OutputFile experiment((std::filesystem::path(folder) / text(prefix, csv_names[2])).string());

    add_header(layers, {"run", "rank", "iteration", "layer", "forward_ms", "backward_ms",
                        "update_ms", "warmup"});
    layers.end_row();
    add_header(iterations, {"run", "rank", "epoch", "iteration", "time_ms", "layers_ms"});
    for (const std::string_view activity : activity_names) {
        iterations.row().text(text(activity, "_ms"));
    }
    add_header(iterations, {"unaccounted_ms", "loss", "top1", "topk", "warmup"});
    iterations.end_row();

    std::vector<ExperimentRow> rows;
    for (std::size_t i = 0; i < run_files.size(); ++i) {
        rows.push_back(add_run(layers, iterations, names[i], run_files[i]));
    }
    experiment.write(experiment_table(rows).str());

    layers.sync();
    iterations.sync();
    experiment.sync();
    std::vector<ExportedFile> exported{layers.commit(), iterations.commit()};
    experiment.commit();  // last, because it says whose tables they are
    exported.push_back({experiment.path(), rows.size()});
    return exported;
}

std::optional<std::string> run_of_table(const std::string& experiment_csv) {
    std::ifstream file(experiment_csv);
    std::string header;
    std::string row;
    std::string another;
    if (!std::getline(file, header) || !std::getline(file, row) || std::getline(file, another)) {
        return {};
    }
    const std::vector<std::string> columns = csv_fields(header);
    const std::vector<std::string> fields = csv_fields(row);
    const auto column = std::ranges::find(columns, "run_id");
    if (column == columns.end() || fields.size() != columns.size()) {
        return {};
    }
    return fields[static_cast<std::size_t>(column - columns.begin())];
}

}  // namespace layerledger
