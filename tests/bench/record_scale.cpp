// Feeds the record room 1,024 ranks x 1,000 iterations of ResNet-50's shape in blocks as the gather
// delivers them, reads the file back as `summary` and `export` do, and holds all against their
// limits.
//
//   record_scale [FOLDER [keep]]   the files are written there (default: the temporary folder), ~6
//                                  GB, and removed at the end unless the run file is to be kept
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string_view>

#include "layerledger/base/text.hpp"
#include "layerledger/record/export.hpp"
#include "layerledger/record/gather.hpp"
#include "layerledger/record/run_reader.hpp"
#include "layerledger/record/run_writer.hpp"
#include "simulated_run.hpp"

namespace layerledger {
namespace {

constexpr std::size_t ranks = 1024;
constexpr std::size_t iterations = 1000;

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

double peak_bytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) * 1024;
}

double processor_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto of = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    return of(usage.ru_utime) + of(usage.ru_stime);
}

bool report(const std::string& what, double value, const std::string& unit, double limit) {
    const bool is_within = value <= limit;
    std::cout << what << ": " << fixed(value, 3) << ' ' << unit << " (limit " << fixed(limit, 1)
              << ") " << (is_within ? "PASS" : "FAIL") << '\n';
    return is_within;
}

/// Makes the tables and a trace as `export` does, and takes them away again.
void export_all(const std::string& run_file, const std::filesystem::path& folder) {
    const std::filesystem::path tables = folder / "layerledger_record_scale";
    double start_s = seconds();
    for (const ExportedFile& file : export_csv(std::span(&run_file, 1), tables.string())) {
        std::cout << "export: " << file.entries << " rows, "
                  << bytes_text(static_cast<double>(std::filesystem::file_size(file.path))) << '\n';
    }
    std::cout << "export: tables in " << fixed(seconds() - start_s, 2) << " s\n";

    start_s = seconds();
    const ExportedFile trace =
        export_trace(run_file, (tables / "trace.json.gz").string(), std::nullopt);
    std::cout << "export: trace of " << trace.entries << " events, "
              << bytes_text(static_cast<double>(std::filesystem::file_size(trace.path))) << " in "
              << fixed(seconds() - start_s, 2) << " s\n";
    std::filesystem::remove_all(tables);
}

bool run(const std::filesystem::path& folder, bool keep) {
    const std::string path = (folder / "layerledger_record_scale.h5").string();
    const RunDescription description = bench::simulated_run("record_scale", ranks);
    const std::size_t block = largest_block(RecordLayout(description.extents()), ranks);
    std::cout << ranks << " ranks x " << iterations << " iterations, " << bench::simulated_layers
              << " layers, " << bench::simulated_buckets << " buckets, " << block
              << " iterations a block\n";

    double write_s = 0;
    {
        bench::SimulatedRecords records(description);
        RunWriter writer(path, description, true);
        writer.set_block_iterations(block);
        for (std::size_t first = 0; first < iterations; first += block) {
            RecordBlock next = records.block(static_cast<std::int64_t>(first),
                                             std::min(block, iterations - first));
            const double start_s = seconds();
            writer.append(std::move(next));
            write_s += seconds() - start_s;
        }
        if (!writer.finish(RunStatus::complete)) {
            return false;
        }
    }
    const double bytes = static_cast<double>(std::filesystem::file_size(path));
    std::cout << "file: " << bytes_text(bytes) << ", written in " << fixed(write_s, 2) << " s, "
              << fixed(write_s / iterations * 1e3, 2) << " ms an iteration\n";

    const double start_s = seconds();
    const double start_processor_s = processor_seconds();
    const RunSummary summary = summarize(path);
    const double summary_s = seconds() - start_s;
    std::cout << "summary: " << fixed(processor_seconds() - start_processor_s, 2)
              << " s of processor time, iteration " << fixed(summary.iteration_us * 1e-3, 3)
              << " ms\n";
    export_all(path, folder);
    if (!keep) {
        std::filesystem::remove(path);
    }

    const bool disk = report("on disk per rank and iteration", bytes / (ranks * iterations) / 1024,
                             "KiB", 2.0 * 1000 / 1024);
    const bool memory = report("peak memory", peak_bytes() / (1 << 30), "GiB", 1.0);
    const bool time = report("summary", summary_s, "s", 5.0);
    return disk && memory && time;
}

}  // namespace
}  // namespace layerledger

int main(int argc, char** argv) {
    try {
        const std::filesystem::path folder =
            argc > 1 ? std::filesystem::path(argv[1]) : std::filesystem::temp_directory_path();
        const bool keep = argc > 2 && std::string_view(argv[2]) == "keep";
        return layerledger::run(folder, keep) ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
