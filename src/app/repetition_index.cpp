#include "repetition_index.hpp"

#include <exception>
#include <fstream>

#include "layerledger/base/csv.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/output_file.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

void add_row(CsvText& csv, std::size_t number, const Repetition& repetition) {
    const bool has_ended = repetition.status != "waiting" && repetition.status != "running";
    csv.number(static_cast<std::int64_t>(number + 1)).text(text(repetition.seed));
    csv.text(repetition.directory).text(repetition.status);
    csv.text(has_ended ? text(static_cast<int>(repetition.code)) : std::string());
    csv.fixed(repetition.iteration_ms, 6).fixed(repetition.images_per_second, 3);
    csv.number(repetition.validation_top1).fixed(repetition.seconds, 3);
    csv.end_row();
}

}  // namespace

std::string index_text(const std::vector<Repetition>& repetitions) {
    CsvText csv;
    for (const char* column : {"repetition", "seed", "directory", "status", "exit_code",
                               "iteration_ms", "images_per_s", "validation_top1", "seconds"}) {
        csv.text(column);
    }
    csv.end_row();
    for (std::size_t i = 0; i < repetitions.size(); ++i) {
        add_row(csv, i, repetitions[i]);
    }
    return csv.str();
}

void write_index(const std::string& path, const std::vector<Repetition>& repetitions) {
    OutputFile file(path);
    file.write(index_text(repetitions));
    file.commit();
}

void mark_repetition_failed(const std::string& path, const Repetition& repetition,
                            std::size_t number, ExitCode code) noexcept {
    try {
        Repetition failed = repetition;
        failed.status = "failed";
        failed.code = code;
        CsvText row;
        add_row(row, number, failed);
        const std::string begin = text(number + 1, ",");

        std::string changed;
        std::ifstream old(path);
        for (std::string line; std::getline(old, line);) {
            changed += line.starts_with(begin) ? row.str() : line + '\n';
        }
        if (!changed.empty()) {
            OutputFile file(path);
            file.write(changed);
            file.commit();
        }
    } catch (const std::exception& error) {
        log::warning(text("cannot mark a repetition as failed (", error.what(), ")"));
    }
}

}  // namespace layerledger
