#include "repetition_index.hpp"

#include <charconv>
#include <exception>
#include <fstream>
#include <sstream>
#include <system_error>

#include "command_line.hpp"
#include "layerledger/base/contract.hpp"
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
    csv.text(repetition.reason);
    csv.end_row();
}

/// The number in a field; NaN where it is empty.
double number_in(const std::string& field) {
    double value = std::numeric_limits<double>::quiet_NaN();
    const auto read = std::from_chars(field.data(), field.data() + field.size(), value);
    LL_VALIDATE(field.empty() || read.ec == std::errc{}, ExitCode::bad_data,
                text("'", field, "' is no number"));
    return value;
}

Repetition parse_row(const std::string& line) {
    constexpr std::size_t columns = 10;
    const std::vector<std::string> fields = csv_fields(line);
    LL_VALIDATE(fields.size() == columns, ExitCode::bad_data, text("'", line, "' is no row"));
    Repetition repetition;
    const std::string& seed = fields[1];
    std::from_chars(seed.data(), seed.data() + seed.size(), repetition.seed);
    repetition.directory = fields[2];
    repetition.status = fields[3];
    repetition.code =
        fields[4].empty() ? ExitCode::ok : static_cast<ExitCode>(number_in(fields[4]));
    repetition.iteration_ms = number_in(fields[5]);
    repetition.images_per_second = number_in(fields[6]);
    repetition.validation_top1 = number_in(fields[7]);
    repetition.seconds = number_in(fields[8]);
    repetition.reason = fields[9];
    return repetition;
}

}  // namespace

std::vector<Repetition> parse_index(const std::string& path, const std::string& content) {
    std::vector<Repetition> repetitions;
    std::istringstream lines(content);
    std::string line;
    std::getline(lines, line);  // the header
    while (std::getline(lines, line)) {
        try {
            repetitions.push_back(parse_row(line));
        } catch (const Error& error) {
            throw Error(ExitCode::bad_data,
                        text("'", path, "' is no index of repetitions (", error.what(),
                             ") put it back as it was, or take the folder away"));
        }
    }
    return repetitions;
}

std::string index_text(const std::vector<Repetition>& repetitions) {
    CsvText csv;
    for (const char* column :
         {"repetition", "seed", "directory", "status", "exit_code", "iteration_ms", "images_per_s",
          "validation_top1", "seconds", "reason"}) {
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
                            std::size_t number, const Error& error) noexcept {
    try {
        Repetition failed = repetition;
        failed.status = "failed";
        failed.code = error.code();
        failed.reason = one_line(error.what());
        CsvText row;
        add_row(row, number, failed);
        const std::string begin = text(number + 1, ",");

        std::string changed;
        std::ifstream old(path);
        for (std::string line; std::getline(old, line);) {
            changed += line.starts_with(begin) ? row.str() : line + '\n';
        }
        if (!changed.empty()) {
            OutputFile file(path, Writers::several);
            file.write(changed);
            file.commit();
        }
    } catch (const std::exception& problem) {
        log::warning(text("cannot mark a repetition as failed (", problem.what(), ")"));
    }
}

}  // namespace layerledger
