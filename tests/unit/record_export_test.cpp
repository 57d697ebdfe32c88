#include "layerledger/record/export.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "layerledger/base/error.hpp"
#include "layerledger/record/run_reader.hpp"
#include "layerledger/record/run_writer.hpp"
#include "support/sample_run.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::sample_block;
using testing::sample_description;
using ::testing::StartsWith;
using testing::TemporaryFolder;

std::vector<std::string> lines_of(const std::string& path) {
    std::vector<std::string> lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        lines.push_back(line);
    }
    return lines;
}

/// The sample run of two ranks, in blocks of three iterations.
std::string write_run(const TemporaryFolder& folder, const std::string& name,
                      std::int64_t iterations, const std::string& title = "sample") {
    RunDescription run = sample_description(2);
    run.title = title;
    RunWriter writer(folder.path(name), run, false);
    for (std::int64_t first = 0; first < iterations; first += 3) {
        const std::int64_t count = std::min<std::int64_t>(3, iterations - first);
        writer.append(sample_block(run, first, static_cast<std::size_t>(count)));
    }
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    return folder.path(name);
}

ExitCode code_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.code();
    }
    return ExitCode::ok;
}

TEST(ExportCsv, HasARowForWhatWasTimed) {
    const TemporaryFolder folder;
    const std::vector runs{write_run(folder, "run.h5", 4)};
    const auto files = export_csv(runs, folder.path("csv"));
    ASSERT_EQ(files.size(), 3U);
    EXPECT_EQ(files[0].entries, 3U * 2 * 3);  // iteration 3 is not profiled
    EXPECT_EQ(files[1].entries, 4U * 2);
    EXPECT_EQ(files[2].entries, 1U);

    const auto layers = lines_of(folder.path("csv/layers.csv"));
    EXPECT_EQ(layers[0], "run,rank,iteration,layer,forward_ms,backward_ms,update_ms,warmup");
    EXPECT_EQ(layers[1], "sample,0,0,conv1,0.1,0.11,0.12,1");
    EXPECT_EQ(layers[2], "sample,0,0,pool1,0.2,0.21,,1");  // pools have no update
    EXPECT_EQ(layers[4], "sample,1,0,conv1,0.101,0.111,0.121,1");
    EXPECT_EQ(layers[13], "sample,0,2,conv1,0.1005,0.1105,0.1205,0");

    const auto iterations = lines_of(folder.path("csv/iterations.csv"));
    EXPECT_THAT(iterations[0], StartsWith("run,rank,epoch,iteration,time_ms,layers_ms,"));
    EXPECT_THAT(iterations[0], HasSubstr(",unaccounted_ms,loss,top1,topk,warmup"));
    // 8 layer times 1670, 9 activities 90 and 0.5.
    EXPECT_THAT(iterations[1], StartsWith("sample,0,0,0,1.7605,1.67,0.002,0.004,"));
    EXPECT_THAT(iterations[1], HasSubstr(",0.0005,2.5,0,0,1"));
    EXPECT_EQ(iterations[7], "sample,0,0,3,2.5,,,,,,,,,,,,2.125,0.0234375,0.046875,0");
}

TEST(ExportCsv, AnExperimentHasEveryFactOfItsFile) {
    const TemporaryFolder folder;
    const std::vector runs{write_run(folder, "run.h5", 3)};
    export_csv(runs, folder.path("csv"));
    const auto lines = lines_of(folder.path("csv/experiment.csv"));
    ASSERT_EQ(lines.size(), 2U);
    for (const char* column :
         {"iteration_ms", "images_per_s", "training_s", "time_25_s", "accounted_50_s",
          "missing_75_s", "missing_100_percent", "config.train.batch_size", "config.data.root",
          "network.name", "provenance.hdf5"}) {
        EXPECT_THAT(lines[0], HasSubstr(std::string(",") + column));
    }
    EXPECT_THAT(lines[0], Not(HasSubstr("config.text")));
    EXPECT_EQ(std::ranges::count(lines[0], ','), std::ranges::count(lines[1], ','));
}

TEST(ExportCsv, TellsWhichRunATableIsOf) {
    const TemporaryFolder folder;
    const std::vector runs{write_run(folder, "a.h5", 1, "a, \"quoted\" run"),
                           write_run(folder, "b.h5", 1)};
    export_csv(std::span(runs).first(1), folder.path("csv"), "a.");
    EXPECT_EQ(run_of_table(folder.path("csv/a.experiment.csv")), identify_run(runs[0]).run_id);
    EXPECT_TRUE(std::filesystem::exists(folder.path("csv/a.layers.csv")));
    export_csv(runs, folder.path("csv"));
    EXPECT_FALSE(run_of_table(folder.path("csv/experiment.csv")));  // of two
    EXPECT_FALSE(run_of_table(folder.path("csv/layers.csv")));
    EXPECT_FALSE(run_of_table(folder.path("csv/none.csv")));
}

TEST(ExportCsv, RunsOfOneNameGoByTheirFiles) {
    const TemporaryFolder folder;
    const std::vector runs{write_run(folder, "a.h5", 1), write_run(folder, "b.h5", 1),
                           write_run(folder, "c.h5", 1, "say \"c\", please")};
    export_csv(runs, folder.path("csv"));
    const auto lines = lines_of(folder.path("csv/iterations.csv"));
    ASSERT_EQ(lines.size(), 1 + 3 * 2U);
    EXPECT_THAT(lines[1], StartsWith(folder.path("a.h5") + ",0,"));
    EXPECT_THAT(lines[3], StartsWith(folder.path("b.h5") + ",0,"));
    EXPECT_THAT(lines[5], StartsWith("\"say \"\"c\"\", please\",0,"));
}

TEST(ExportCsv, ARunWithoutIterationsHasARow) {
    const TemporaryFolder folder;
    const std::vector runs{write_run(folder, "run.h5", 0)};
    const auto files = export_csv(runs, folder.path("csv"));
    EXPECT_EQ(files[0].entries, 0U);
    EXPECT_EQ(files[2].entries, 1U);
}

TEST(ExportCsv, LeavesNothingHalfMade) {
    const TemporaryFolder folder;
    const std::vector runs{write_run(folder, "run.h5", 1), folder.path("none.h5")};
    EXPECT_EQ(code_of([&] { export_csv(runs, folder.path("csv")); }), ExitCode::input_missing);
    EXPECT_FALSE(std::filesystem::exists(folder.path("csv")));

    // The table of layers cannot be made.
    std::filesystem::create_directories(folder.path("csv/layers.csv"));
    EXPECT_EQ(code_of([&] { export_csv(std::span(runs).first(1), folder.path("csv")); }),
              ExitCode::cannot_create);
    EXPECT_FALSE(std::filesystem::exists(folder.path("csv/iterations.csv")));
}

TEST(ExportTrace, RefusesAWindowOutsideTheRun) {
    const TemporaryFolder folder;
    const std::string run = write_run(folder, "run.h5", 4);
    const std::string path = folder.path("t.json.gz");
    for (const TraceWindow window : {TraceWindow{2, 4}, TraceWindow{4, 4}, TraceWindow{3, 2}}) {
        EXPECT_EQ(code_of([&] { export_trace(run, path, window); }), ExitCode::configuration);
    }
    EXPECT_FALSE(std::filesystem::exists(path));
    // 11 metadata a rank; 1 + 8 + 3 * 2 events a rank and profiled iteration, 2 counters.
    const std::uint64_t metadata = 2 * 11;
    EXPECT_EQ(export_trace(run, path, TraceWindow{1, 2}).entries, metadata + 2 * (2 * 15 + 2));
    EXPECT_EQ(export_trace(run, path, TraceWindow{3, 3}).entries, metadata + 2 + 2);
    // Without a window three from the first after warm-up: 2 and 3.
    EXPECT_EQ(export_trace(run, path, {}).entries, metadata + 2 * 15 + 2 + 2 + 2);
}

TEST(ExportTrace, NeedsAnIteration) {
    const TemporaryFolder folder;
    const std::string run = write_run(folder, "run.h5", 0);
    EXPECT_EQ(code_of([&] { export_trace(run, folder.path("t.json.gz"), {}); }),
              ExitCode::bad_data);
}

}  // namespace
}  // namespace layerledger
