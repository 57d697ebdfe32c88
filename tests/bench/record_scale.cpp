// Feeds the record room 1,024 ranks x 1,000 iterations of ResNet-50's shape in blocks as the gather
// delivers them, reads the file back as `summary` and `export` do, and holds all against their
// limits.
//
//   record_scale [FOLDER [keep]]   the files are written there (default: the temporary folder), ~6
//                                  GB, and removed at the end unless the run file is to be kept
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <random>
#include <string_view>

#include "layerledger/base/text.hpp"
#include "layerledger/record/export.hpp"
#include "layerledger/record/gather.hpp"
#include "layerledger/record/run_reader.hpp"
#include "layerledger/record/run_writer.hpp"

namespace layerledger {
namespace {

constexpr std::size_t ranks = 1024;
constexpr std::size_t iterations = 1000;
constexpr std::size_t layers = 54;
constexpr std::size_t buckets = 5;

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

RunDescription describe() {
    RunDescription run;
    run.title = "record_scale";
    run.run_id = "00000000-0000-4000-8000-000000000000";
    run.date_created = "2026-01-01T00:00:00Z";
    run.warmup_iterations = 5;
    run.batch_size = 32;
    run.network = {{"name", "resnet50"}};
    for (std::size_t layer = 0; layer < layers; ++layer) {
        LayerDescription description;
        description.name = text("conv", layer + 1);
        description.kind = "conv";
        description.flops = {4e9, 8e9, 1e6};
        run.layers.push_back(description);
    }
    run.buckets.resize(buckets);
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        RankDescription description;
        description.host = text("node", rank / 8);
        description.local_rank = static_cast<std::int32_t>(rank % 8);
        run.ranks.push_back(description);
    }
    return run;
}

/// Times that scatter by some percent around their layer's own, in whole nanoseconds.
class Records {
public:
    explicit Records(const RunDescription& run) : layout_(run.extents()) {
        std::uniform_real_distribution<double> typical_us(50, 2000);
        for (std::size_t i = 0; i < layers * phases.size(); ++i) {
            typical_us_.push_back(typical_us(random_));
        }
    }

    RecordBlock block(std::int64_t first, std::size_t count) {
        RecordBlock block;
        block.rows.resize(ranks * count * layout_.size);
        block.starts_ns.resize(ranks * count);
        for (std::size_t i = 0; i < count; ++i) {
            const std::int64_t iteration = first + static_cast<std::int64_t>(i);
            block.facts.push_back({iteration, 0, 0.1F, iteration < 5, true});
            for (std::size_t rank = 0; rank < ranks; ++rank) {
                const std::size_t row = rank * count + i;
                block.starts_ns[row] = iteration * 200'000'000 + static_cast<std::int64_t>(rank);
                fill(std::span(block.rows).subspan(row * layout_.size, layout_.size));
            }
        }
        return block;
    }

private:
    static float whole_ns(double us) { return static_cast<float>(std::round(us * 1000) / 1000); }

    double scatter() {
        constexpr double range = static_cast<double>(std::minstd_rand::max());
        return 0.97 + 0.06 * static_cast<double>(random_()) / range;
    }

    void fill(std::span<float> row) {
        double sum_us = 0;
        for (std::size_t i = 0; i < typical_us_.size(); ++i) {
            const float time_us = whole_ns(typical_us_[i] * scatter());
            row[layout_.layer_time + i] = time_us;
            row[layout_.layer_start + i] = whole_ns(sum_us);
            sum_us += time_us;
        }
        for (std::size_t i = 0; i < activity_count; ++i) {
            const float time_us = whole_ns(100 * scatter());
            row[layout_.activity_time + i] = time_us;
            sum_us += time_us;
        }
        for (std::size_t i = 0; i < buckets; ++i) {
            row[layout_.bucket_ready + i] = whole_ns(100'000 * scatter());
            row[layout_.bucket_start + i] = whole_ns(110'000 * scatter());
            row[layout_.bucket_transfer + i] = whole_ns(120'000 * scatter());
            row[layout_.bucket_end + i] = whole_ns(130'000 * scatter());
        }
        row[layout_.unaccounted] = whole_ns(10 * scatter());
        row[layout_.allreduce_hidden] = whole_ns(5000 * scatter());
        row[layout_.memcpy_hidden] = whole_ns(500 * scatter());
        row[layout_.iteration_time] = static_cast<float>(sum_us + row[layout_.unaccounted]);
        row[layout_.loss] = 6.9F;
        row[layout_.top1] = 0.001F;
        row[layout_.topk] = 0.005F;
    }

    RecordLayout layout_;
    std::minstd_rand random_{1};
    std::vector<double> typical_us_;
};

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
    const RunDescription description = describe();
    const std::size_t block = largest_block(RecordLayout(description.extents()), ranks);
    std::cout << ranks << " ranks x " << iterations << " iterations, " << layers << " layers, "
              << buckets << " buckets, " << block << " iterations a block\n";

    double write_s = 0;
    {
        Records records(description);
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
