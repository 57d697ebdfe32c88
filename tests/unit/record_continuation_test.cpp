#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>

#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/hdf5/file.hpp"
#include "layerledger/record/run_reader.hpp"
#include "layerledger/record/run_writer.hpp"
#include "record/event_table.hpp"
#include "support/sample_run.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::sample_block;
using testing::sample_description;
using testing::TemporaryFolder;

/// A later start of the sample run.
RunDescription start_at(std::int64_t iteration, std::size_t ranks = 2, Level level = Level::layer) {
    RunDescription run = sample_description(ranks, level);
    run.start.iteration = iteration;
    run.start.date = "2026-11-25T03:00:00Z";
    run.start.checkpoint = "newest.h5";
    return run;
}

hdf5::File reading(const std::string& path) {
    return hdf5::File::open(path, hdf5::Access::read, hdf5::Locking::locked);
}

/// Ten iterations in blocks of four, as a start leaves them that was asked to stop.
void write_first_start(const std::string& path, std::size_t ranks = 2) {
    RunDescription run = sample_description(ranks);
    RunWriter writer(path, run, false);
    writer.set_block_iterations(4);
    for (const auto& [first, count] : {std::pair{0, 4}, std::pair{4, 4}, std::pair{8, 2}}) {
        writer.append(sample_block(run, first, static_cast<std::size_t>(count)));
    }
    writer.add_validation({.loss = 3, .images = 5, .iteration = 4});
    writer.add_validation({.loss = 2, .images = 5, .iteration = 8});
    writer.add_pause(PauseKind::checkpoint, 6, 0.5);
    writer.add_pause(PauseKind::validation, 8, 0.25);
    EXPECT_TRUE(writer.finish(RunStatus::interrupted));
}

TEST(Continuation, TakesBackWhatComesAgainAndGoesOn) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    write_first_start(path);
    const RunDescription run = start_at(6);
    {
        RunWriter writer(path, run, RunWriter::GoOn{});
        EXPECT_EQ(writer.committed_iterations(), 6);
        EXPECT_EQ(writer.block_iterations(), 4U);
        EXPECT_EQ(writer.last_validation(), 4);
        EXPECT_EQ(identify_run(path).status, "running");
        EXPECT_THAT(check_run_file(path), IsEmpty());
        writer.append(sample_block(run, 6, 2));
        writer.append(sample_block(run, 8, 4));
        writer.add_validation({.loss = 1, .images = 5, .iteration = 12});
        EXPECT_TRUE(writer.finish(RunStatus::complete));
    }
    EXPECT_THAT(check_run_file(path), IsEmpty());
    const hdf5::File file = reading(path);
    EXPECT_THAT(file.read<std::int64_t>("iteration"),
                ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
    EXPECT_EQ(file.text_attribute("/", "history"),
              "2026-11-24T03:00:00Z begun\n"
              "2026-11-25T03:00:00Z resumed after iteration 6 from newest.h5");
    const auto validations = read_validations(file);
    ASSERT_EQ(validations.size(), 2U);
    EXPECT_EQ(validations[0].iteration, 4);
    EXPECT_EQ(validations[1].iteration, 12);
    EXPECT_EQ(read_pauses(file).size(), 1U);
    EXPECT_EQ(summarize(path).validation->loss, 1);
}

TEST(Continuation, TimeGoesOn) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    write_first_start(path);
    const RunDescription run = start_at(10);
    RunWriter writer(path, run, RunWriter::GoOn{});
    // The same clock readings again, as after a restart of the machine.
    RecordBlock block = sample_block(run, 0, 2);
    block.facts[0].iteration = 10;
    block.facts[1].iteration = 11;
    writer.append(std::move(block));
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    const auto starts = reading(path).read<std::int64_t>("iteration_start");
    for (std::size_t i = 2; i < starts.size(); ++i) {
        EXPECT_GT(starts[i], starts[i - 2]);
    }
}

TEST(Continuation, RefusesOtherTables) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    write_first_start(path);
    const auto refusal = [&](const RunDescription& run) -> std::string {
        try {
            const RunWriter writer(path, run, RunWriter::GoOn{});
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ExitCode::cannot_create);
            return error.what();
        }
        return "";
    };
    EXPECT_THAT(refusal(start_at(6, 3)), HasSubstr("other ranks"));
    EXPECT_THAT(refusal(start_at(6, 2, Level::op)), HasSubstr("profile.level"));
    RunDescription other = start_at(6);
    other.batch_size += 1;
    EXPECT_THAT(refusal(other), HasSubstr("batches"));
    other = start_at(6);
    other.layers[1].name = "pool2";
    EXPECT_THAT(refusal(other), HasSubstr("names of layer"));
    other = start_at(6);
    other.buckets[0].bytes += 4;
    EXPECT_THAT(refusal(other), HasSubstr("gradient buckets"));
    EXPECT_EQ(identify_run(path).committed_iterations, 10);
}

TEST(Continuation, OfAFileWithoutIterationsBeginsItAnew) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    const RunDescription run = sample_description(1);
    {
        const RunWriter killed(folder.path("killed.h5"), run, false);
        std::filesystem::copy_file(killed.path(), path);  // one that ends removes its own
    }
    RunWriter writer(path, start_at(3, 1), RunWriter::GoOn{});
    EXPECT_EQ(writer.block_iterations(), 0U);
    writer.append(sample_block(run, 3, 2));
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    EXPECT_THAT(check_run_file(path), IsEmpty());
    EXPECT_THAT(reading(path).read<std::int64_t>("iteration"), ElementsAre(3, 4));
    EXPECT_EQ(reading(path).integer_attribute("/", "missing_iterations"), 3);
    EXPECT_EQ(summarize(path).starts.size(), 2U);
}

TEST(Continuation, PutsEveryStartOnRecord) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    write_first_start(path);
    for (const std::int64_t iteration : {10, 6}) {
        RunDescription run = start_at(iteration);
        run.start.command_line = text("layerledger train --again ", iteration);
        run.start.hosts = "node1 node2";
        RunWriter writer(path, run, RunWriter::GoOn{});
        EXPECT_TRUE(writer.finish(RunStatus::interrupted));
        EXPECT_THAT(check_run_file(path), IsEmpty());
    }
    const std::vector<StartRecord> starts = summarize(path).starts;
    ASSERT_EQ(starts.size(), 3U);
    EXPECT_EQ(starts[0].iteration, 0);
    EXPECT_EQ(starts[0].checkpoint, "");
    EXPECT_EQ(starts[0].command_line, "layerledger train");
    EXPECT_EQ(starts[1].iteration, 10);
    EXPECT_EQ(starts[2].iteration, 6);
    EXPECT_EQ(starts[2].date, "2026-11-25T03:00:00Z");
    EXPECT_EQ(starts[2].ranks, 2);
    EXPECT_EQ(starts[2].command_line, "layerledger train --again 6");
    EXPECT_EQ(starts[2].hosts, "node1 node2");
    EXPECT_EQ(starts[2].versions, "hdf5=1.10.8\n");
    EXPECT_EQ(starts[2].checkpoint, "newest.h5");
    const std::string shown = to_text(summarize(path));
    EXPECT_THAT(shown, HasSubstr("3, the first 2026-11-24T03:00:00Z, 2 ranks\n"));
    EXPECT_THAT(shown, HasSubstr("2 ranks, after iteration 6 from newest.h5"));
}

TEST(Continuation, CountsWhatAKillTookBeforeItWasWritten) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    write_first_start(path);
    const RunDescription run = start_at(15);
    {
        RunWriter writer(path, run, RunWriter::GoOn{});
        writer.append(sample_block(run, 15, 4));
        EXPECT_TRUE(writer.finish(RunStatus::complete));
    }
    EXPECT_THAT(check_run_file(path), IsEmpty());
    EXPECT_EQ(reading(path).read<std::int64_t>("iteration").at(10), 15);
    EXPECT_EQ(summarize(path).missing_iterations, 5);
    EXPECT_THAT(to_text(summarize(path)), HasSubstr("5 more are missing"));
    {
        hdf5::File file = hdf5::File::open(path, hdf5::Access::write, hdf5::Locking::locked);
        file.set_attribute("/", "missing_iterations", std::int64_t{4});
        file.close();
    }
    EXPECT_THAT(check_run_file(path),
                ElementsAre("of iterations 0 to 18 there are 14, and 4 are said to be missing"));
    // Back before the gap it is gone.
    RunWriter writer(path, start_at(6), RunWriter::GoOn{});
    writer.append(sample_block(run, 6, 2));
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    EXPECT_THAT(check_run_file(path), IsEmpty());
    EXPECT_EQ(summarize(path).missing_iterations, 0);
}

TEST(Continuation, WhatWasDroppedIsNotCountedAgain) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    write_first_start(path);
    {
        hdf5::File file = hdf5::File::open(path, hdf5::Access::write, hdf5::Locking::locked);
        file.set_attribute("/", "dropped_iterations", std::int64_t{2});
        file.close();
    }
    {
        RunWriter writer(path, start_at(15), RunWriter::GoOn{});
        EXPECT_TRUE(writer.finish(RunStatus::interrupted));
    }
    EXPECT_EQ(summarize(path).dropped_iterations, 2);
    EXPECT_EQ(summarize(path).missing_iterations, 3);
    RunWriter writer(path, start_at(6), RunWriter::GoOn{});
    EXPECT_TRUE(writer.finish(RunStatus::interrupted));
    EXPECT_EQ(summarize(path).dropped_iterations, 0);
    EXPECT_EQ(summarize(path).missing_iterations, 0);
}

TEST(Continuation, WaitsForAnEarlierStartThatIsStillEnding) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    write_first_start(path);
    const int held = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(::flock(held, LOCK_EX), 0);
    std::jthread ending([held] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        ::close(held);
    });
    RunWriter writer(path, start_at(6), RunWriter::GoOn{});
    EXPECT_TRUE(writer.finish(RunStatus::interrupted));
    EXPECT_EQ(summarize(path).starts.size(), 2U);
}

TEST(Continuation, WhatAddsUpGoesOnAddingUp) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    for (const std::int64_t iteration : {0, 4}) {
        const RunDescription run = start_at(iteration);
        auto writer = iteration == 0 ? std::make_unique<RunWriter>(path, run, false)
                                     : std::make_unique<RunWriter>(path, run, RunWriter::GoOn{});
        writer->append(sample_block(run, iteration, 4));
        writer->set_dropped_spans(3);
        writer->set_peak_memory(
            {{1e6}, {iteration == 0 ? 9e6 : 2e6, iteration == 0 ? 5e6 : absent}});
        EXPECT_TRUE(writer->finish(RunStatus::interrupted));
    }
    EXPECT_EQ(summarize(path).dropped_spans, 6);
    EXPECT_EQ(summarize(path).memory.peak_bytes, 9e6);
    EXPECT_EQ(summarize(path).memory.device_bytes, 5e6);
}

TEST(EventTables, AreCheckedAndRowsOfAKillAreLeftOut) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    write_first_start(path);
    {
        hdf5::File file = hdf5::File::open(path, hdf5::Access::write, hdf5::Locking::locked);
        file.set_rows("/pauses/paused_iteration", 3);
        file.close();
    }
    EXPECT_EQ(read_pauses(reading(path)).size(), 2U);
    EXPECT_THAT(check_run_file(path), ElementsAre(HasSubstr("has 2 rows, its scale 3"),
                                                  HasSubstr("has 2 rows, its scale 3")));
    RunWriter writer(path, start_at(8), RunWriter::GoOn{});
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    EXPECT_THAT(check_run_file(path), IsEmpty());
}

/// One layer's phase, one kind of copies, one rank.
KernelSamples sample_of(std::int64_t iteration) {
    KernelSamples samples;
    samples.samples.push_back({iteration, 0, 12, 0, 900, 800, 0.5});
    samples.kernels.push_back({iteration, 0, 1, 2, 7, 100, 99, 1, 80, 20, 5});
    samples.copies.push_back({iteration, 0, 1, 1, 24, 2, 0});
    return samples;
}

TEST(Continuation, TakesBackSamplesOfIterationsThatComeAgain) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    {
        RunDescription run = sample_description(2, Level::kernel);
        RunWriter writer(path, run, false);
        writer.append(sample_block(run, 0, 10));
        for (const std::int64_t iteration : {1, 5, 6}) {
            writer.add_kernels(sample_of(iteration));
        }
        EXPECT_TRUE(writer.finish(RunStatus::interrupted));
    }
    const RunDescription run = start_at(6, 2, Level::kernel);
    {
        RunWriter writer(path, run, RunWriter::GoOn{});
        writer.append(sample_block(run, 6, 4));
        writer.add_kernels(sample_of(7));
        EXPECT_TRUE(writer.finish(RunStatus::complete));
    }
    EXPECT_THAT(check_run_file(path), IsEmpty());
    const KernelSamples kept = read_kernel_samples(reading(path));
    std::vector<std::int64_t> iterations;
    for (const SampleRecord& sample : kept.samples) {
        iterations.push_back(sample.iteration);
    }
    EXPECT_THAT(iterations, ElementsAre(1, 5, 7));
    ASSERT_EQ(kept.kernels.size(), 3U);
    EXPECT_EQ(kept.kernels[2].iteration, 7);
    EXPECT_EQ(kept.kernels[2].kernels, 7);
    EXPECT_DOUBLE_EQ(kept.kernels[2].error_us, 1);
    ASSERT_EQ(kept.copies.size(), 3U);
    EXPECT_EQ(kept.copies[2].bytes, 24);
}

}  // namespace
}  // namespace layerledger
