#include <gmock/gmock.h>

#include <filesystem>

#include "layerledger/base/error.hpp"
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

hdf5::File reading(const std::string& path) {
    return hdf5::File::open(path, hdf5::Access::read, hdf5::Locking::locked);
}

/// Ten iterations in blocks of four, as a start leaves them that was asked to stop.
void write_first_start(const std::string& path, std::size_t ranks = 2) {
    RunDescription run = sample_description(ranks);
    run.history = "begun";
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
    const RunDescription run = sample_description(2);
    {
        RunWriter writer(path, run, RunWriter::GoOn{6, "resumed"});
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
    EXPECT_EQ(file.text_attribute("/", "history"), "begun\nresumed");
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
    const RunDescription run = sample_description(2);
    RunWriter writer(path, run, RunWriter::GoOn{10, "resumed"});
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
            const RunWriter writer(path, run, RunWriter::GoOn{6, ""});
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ExitCode::cannot_create);
            return error.what();
        }
        return "";
    };
    EXPECT_THAT(refusal(sample_description(3)), HasSubstr("other ranks"));
    EXPECT_THAT(refusal(sample_description(2, Level::op)), HasSubstr("profile.level"));
    RunDescription other = sample_description(2);
    other.batch_size += 1;
    EXPECT_THAT(refusal(other), HasSubstr("batches"));
    other = sample_description(2);
    other.layers[1].name = "pool2";
    EXPECT_THAT(refusal(other), HasSubstr("names of layer"));
    other = sample_description(2);
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
    RunWriter writer(path, run, RunWriter::GoOn{3, "resumed"});
    EXPECT_EQ(writer.block_iterations(), 0U);
    writer.append(sample_block(run, 3, 2));
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    EXPECT_THAT(check_run_file(path), IsEmpty());
    EXPECT_THAT(reading(path).read<std::int64_t>("iteration"), ElementsAre(3, 4));
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
    RunWriter writer(path, sample_description(2), RunWriter::GoOn{8, ""});
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    EXPECT_THAT(check_run_file(path), IsEmpty());
}

}  // namespace
}  // namespace layerledger
