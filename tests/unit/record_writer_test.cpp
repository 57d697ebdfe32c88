#include "layerledger/record/run_writer.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/record/run_reader.hpp"
#include "record/disk.hpp"
#include "record/facts.hpp"
#include "support/sample_run.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using testing::sample_block;
using testing::sample_description;
using testing::TemporaryFolder;

/// The message of the Error that `action` throws, which must be of `code`.
template <class Action>
std::string refusal(ExitCode code, Action action) {
    try {
        action();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), code) << error.what();
        return error.what();
    }
    ADD_FAILURE() << "nothing was thrown";
    return "";
}

std::string refusal_to_create(const std::string& path, bool overwrite = false) {
    return refusal(ExitCode::cannot_create,
                   [&] { const RunWriter writer(path, sample_description(1), overwrite); });
}

/// A lock on a file as another process would hold it.
class Lock {
public:
    Lock(const std::string& path, int kind) : fd_(::open(path.c_str(), O_RDONLY)) {
        EXPECT_EQ(::flock(fd_, kind | LOCK_NB), 0);
    }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock() { ::close(fd_); }

private:
    int fd_;
};

TEST(RunWriter, MakesTheFolderAndAFileThatChecks) {
    const TemporaryFolder folder;
    const std::string path = folder.path("a/b/run.h5");
    const RunWriter writer(path, sample_description(2), false);
    EXPECT_THAT(check_run_file(path), IsEmpty());
    EXPECT_EQ(summarize(path).status, "running");
    EXPECT_THAT(to_text(summarize(path)), HasSubstr("ago: if its job is gone, it was cut off"));
    EXPECT_EQ(summarize(path).committed_iterations, 0);
}

TEST(RunWriter, SaysHowManyCheckpointsAreLost) {
    const TemporaryFolder folder;
    RunWriter writer(folder.path("run.h5"), sample_description(2), false);
    writer.append(sample_block(sample_description(2), 0, 4));
    writer.set_lost_checkpoints(2);
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    EXPECT_THAT(check_run_file(writer.path()), IsEmpty());
    EXPECT_THAT(to_text(summarize(writer.path())),
                HasSubstr("2 checkpoints could not be written\n"));
}

std::string complaint_about(const std::string& path) {
    try {
        static_cast<void>(summarize(path));
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::bad_data);
        return error.what();
    }
    return "";
}

TEST(RunFile, CutShortOrDamagedIsSaidInOneLine) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    {
        RunWriter writer(path, sample_description(2), false);
        writer.append(sample_block(sample_description(2), 0, 64));
        EXPECT_TRUE(writer.finish(RunStatus::complete));
    }
    std::ifstream whole(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(whole), {}};
    for (const std::size_t left : {std::size_t{500}, bytes.size() / 2, bytes.size() - 1}) {
        std::ofstream(path, std::ios::binary) << bytes.substr(0, left);
        EXPECT_EQ(complaint_about(path), text("'", path, "' is cut short (", left, " of its ",
                                              bytes.size(), " bytes are there) copy it again"));
    }
    std::ofstream(path, std::ios::binary)
        << bytes.substr(0, 100) + std::string(bytes.size() - 100, '\0');
    const std::string complaint = complaint_about(path);
    EXPECT_THAT(complaint, StartsWith(text("'", path, "' is damaged (")));
    EXPECT_THAT(complaint, EndsWith(") copy it again from where it was written, or do without it"));
    EXPECT_THAT(complaint, Not(HasSubstr("checked.hpp")));
    std::ofstream(path, std::ios::trunc).close();
    EXPECT_THAT(complaint_about(path), HasSubstr("(it is empty) give the NAME.h5"));
}

TEST(RunFile, ThatIsMissingIsLookedForNearby) {
    const TemporaryFolder folder;
    const RunWriter writer(folder.path("lenet.h5"), sample_description(2), false);
    try {
        static_cast<void>(summarize(folder.path("lennet.h5")));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::input_missing);
        EXPECT_THAT(error.what(), EndsWith(text("did you mean '", writer.path(), "'?")));
    }
}

TEST(RunWriter, RefusesAFileThatExists) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    std::ofstream(path) << "precious";
    EXPECT_THAT(refusal_to_create(path),
                AllOf(HasSubstr(path), HasSubstr("already exists"),
                      HasSubstr("--output.overwrite true"), HasSubstr("output.file")));
    EXPECT_EQ(std::filesystem::file_size(path), 8U);
}

TEST(RunWriter, ReplacesAFileWhenTold) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    std::ofstream(path) << "worthless";
    RunWriter writer(path, sample_description(1), true);
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    EXPECT_EQ(summarize(path).status, "complete");
}

TEST(RunWriter, RefusesAFolder) {
    const TemporaryFolder folder;
    EXPECT_THAT(refusal_to_create(folder.path(""), true), HasSubstr("is a folder"));
}

TEST(RunWriter, RefusesAPlaceThatCannotBeAFolder) {
    const TemporaryFolder folder;
    std::ofstream(folder.path("file")) << "x";
    EXPECT_THAT(refusal_to_create(folder.path("file/run.h5")),
                AllOf(HasSubstr("cannot create the folder"), HasSubstr("Not a directory")));
}

TEST(RunWriter, RefusesAFolderThatCannotBeWritten) {
    EXPECT_THAT(refusal_to_create("/proc/run.h5"), HasSubstr("cannot write '/proc/run.h5'"));
}

TEST(RunWriter, LeavesNothingElseInTheFolder) {
    const TemporaryFolder folder;
    {
        const RunDescription run = sample_description(1);
        RunWriter writer(folder.path("run.h5"), run, false);
        writer.append(sample_block(run, 0, 4));
        EXPECT_TRUE(writer.finish(RunStatus::complete));
    }
    const std::filesystem::directory_iterator files(folder.path(""));
    EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST(RunWriter, CommitsEachBlock) {
    const TemporaryFolder folder;
    const RunDescription run = sample_description(3, Level::op);
    RunWriter writer(folder.path("run.h5"), run, false);
    writer.set_block_iterations(4);
    writer.append(sample_block(run, 0, 4));
    EXPECT_EQ(writer.committed_iterations(), 4);
    EXPECT_EQ(summarize(writer.path()).committed_iterations, 4);
    writer.append(sample_block(run, 4, 3));
    EXPECT_EQ(summarize(writer.path()).committed_iterations, 7);
    EXPECT_THAT(check_run_file(writer.path()), IsEmpty());
}

TEST(RunWriter, TakesBlocksOfOtherLengthsThanAnnounced) {
    const TemporaryFolder folder;
    const RunDescription run = sample_description(2);
    RunWriter writer(folder.path("run.h5"), run, false);
    writer.set_block_iterations(4);
    for (const auto& [first, count] : {std::pair{0, 3}, {3, 6}, {9, 1}}) {
        writer.append(sample_block(run, first, static_cast<std::size_t>(count)));
    }
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    EXPECT_THAT(check_run_file(writer.path()), IsEmpty());
    EXPECT_EQ(summarize(writer.path()).committed_iterations, 10);
}

TEST(RunWriter, RefusesABlockOfAnotherShape) {
    const TemporaryFolder folder;
    RunWriter writer(folder.path("run.h5"), sample_description(2), false);
    EXPECT_THAT(refusal(ExitCode::internal,
                        [&] { writer.append(sample_block(sample_description(3), 0, 1)); }),
                HasSubstr("shape"));
}

TEST(RunWriter, SaysFailedWhenItIsLeftUnfinished) {
    const TemporaryFolder folder;
    const RunDescription run = sample_description(1);
    const std::string path = folder.path("run.h5");
    {
        RunWriter writer(path, run, false);
        writer.append(sample_block(run, 0, 2));
    }
    EXPECT_EQ(summarize(path).status, "failed");
    EXPECT_EQ(summarize(path).committed_iterations, 2);
}

TEST(RunWriter, IsMarkedFromAnotherThreadUnlessItIsFinished) {
    const TemporaryFolder folder;
    const RunDescription run = sample_description(1);
    for (const bool is_finished : {false, true}) {
        RunWriter writer(folder.path("run.h5"), run, true);
        writer.append(sample_block(run, 0, 4));
        if (is_finished) {
            EXPECT_TRUE(writer.finish(RunStatus::complete));
        }
        std::thread([&] { writer.fail_within(std::chrono::seconds(1)); }).join();
        const RunSummary summary = summarize(writer.path());
        EXPECT_EQ(summary.status, is_finished ? "complete" : "failed");
        EXPECT_EQ(summary.committed_iterations, 4);
        EXPECT_THAT(check_run_file(writer.path()), IsEmpty());
    }
}

TEST(RunWriter, LeavesNothingOfARunThatFailedBeforeItsFirstCommit) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    { const RunWriter writer(path, sample_description(1), false); }
    EXPECT_FALSE(std::filesystem::exists(path));

    RunWriter writer(path, sample_description(1), false);
    EXPECT_TRUE(writer.finish(RunStatus::failed));
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(RunWriter, GoesOnWhileAReaderHoldsTheFile) {
    const TemporaryFolder folder;
    const RunDescription run = sample_description(2);
    RunWriter writer(folder.path("run.h5"), run, false);
    writer.set_block_iterations(2);
    const Lock reader(writer.path(), LOCK_SH);
    writer.append(sample_block(run, 0, 2));
    EXPECT_EQ(writer.committed_iterations(), 2);
    EXPECT_TRUE(writer.finish(RunStatus::complete));
}

TEST(RunWriter, WaitsForAnotherWriterWithoutLosingRows) {
    const TemporaryFolder folder;
    const RunDescription run = sample_description(2);
    RunWriter writer(folder.path("run.h5"), run, false);
    writer.set_block_iterations(2);
    {
        const Lock other(writer.path(), LOCK_EX);
        writer.append(sample_block(run, 0, 2));
        EXPECT_EQ(writer.committed_iterations(), 0);
    }
    writer.append(sample_block(run, 2, 2));
    EXPECT_EQ(writer.committed_iterations(), 4);
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    EXPECT_THAT(check_run_file(writer.path()), IsEmpty());
}

TEST(RunWriter, WarnsOnceOfAnEndThatHasToWait) {
    const TemporaryFolder folder;
    RunWriter writer(folder.path("run.h5"), sample_description(1), false);
    std::optional<Lock> other(std::in_place, writer.path(), LOCK_EX);
    ::testing::internal::CaptureStderr();
    {
        const std::jthread release([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(800));
            other.reset();
        });
        EXPECT_TRUE(writer.finish(RunStatus::complete));
    }
    const std::string log = ::testing::internal::GetCapturedStderr();
    const std::size_t warning = log.find("cannot write to");
    EXPECT_NE(warning, std::string::npos);
    EXPECT_EQ(log.find("cannot write to", warning + 1), std::string::npos) << log;
    EXPECT_EQ(summarize(writer.path()).status, "complete");
}

TEST(SharedLock, KeepsWritersAwayAndLetsReadersIn) {
    const TemporaryFolder folder;
    const std::string path = folder.path("file");
    std::ofstream(path) << "x";
    const disk::SharedLock lock(path);
    EXPECT_TRUE(lock.is_held());
    const Lock reader(path, LOCK_SH);
    const int writer = ::open(path.c_str(), O_RDONLY);
    EXPECT_NE(::flock(writer, LOCK_EX | LOCK_NB), 0);
    ::close(writer);
}

TEST(SharedLock, IsNotHeldBesideAWriter) {
    const TemporaryFolder folder;
    const std::string path = folder.path("file");
    std::ofstream(path) << "x";
    const Lock writer(path, LOCK_EX);
    EXPECT_FALSE(disk::SharedLock(path).is_held());
}

TEST(Facts, MakeTheirGroupWhereItIsMissing) {
    const TemporaryFolder folder;
    hdf5::File file = hdf5::File::create(folder.path("facts.h5"));
    write_facts(file, OverheadRecord{0.25, 0.1, 0.4, 20, 0.05});
    const auto overhead = read_overhead(file);
    ASSERT_TRUE(overhead);
    EXPECT_EQ(overhead->pairs, 20);
}

TEST(MarkFailed, LeavesAFileAloneThatSomeoneHasOpen) {
    const TemporaryFolder folder;
    const RunWriter writer(folder.path("run.h5"), sample_description(1), false);
    {
        const Lock reader(writer.path(), LOCK_SH);
        ::testing::internal::CaptureStderr();
        mark_failed(writer.path());
        EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
    }
    EXPECT_EQ(summarize(writer.path()).status, "running");
}

TEST(MarkFailed, ChangesOnlyARunningFile) {
    const TemporaryFolder folder;
    const RunDescription run = sample_description(1);
    const std::string running = folder.path("running.h5");
    RunWriter unfinished(running, run, false);
    unfinished.append(sample_block(run, 0, 2));
    mark_failed(running);
    EXPECT_EQ(summarize(running).status, "failed");

    const std::string complete = folder.path("complete.h5");
    RunWriter finished(complete, run, false);
    EXPECT_TRUE(finished.finish(RunStatus::interrupted));
    mark_failed(complete);
    EXPECT_EQ(summarize(complete).status, "interrupted");
}

TEST(MarkFailed, RemovesAFileWithoutIterations) {
    const TemporaryFolder folder;
    const RunWriter writer(folder.path("run.h5"), sample_description(1), false);
    mark_failed(writer.path());
    EXPECT_FALSE(std::filesystem::exists(writer.path()));
}

TEST(MarkFailed, IgnoresWhatIsNoRunFile) {
    const TemporaryFolder folder;
    mark_failed(folder.path("nothing.h5"));
    const std::string path = folder.path("text.h5");
    std::ofstream(path) << "text";
    mark_failed(path);
    EXPECT_EQ(std::filesystem::file_size(path), 4U);
}

/// A file system of its own that can be filled.
class SmallDisk : public ::testing::Test {
protected:
    void SetUp() override {
        if (::mount("tmpfs", folder_.path("").c_str(), "tmpfs", 0, "size=3m") != 0) {
            GTEST_SKIP() << "mounting a small file system needs root";
        }
        is_mounted_ = true;
    }
    void TearDown() override {
        if (is_mounted_) {
            EXPECT_EQ(::umount2(folder_.path("").c_str(), MNT_DETACH), 0);
        }
    }
    /// Takes all room that is left.
    void fill() const {
        std::ofstream filler(folder_.path("filler"), std::ios::binary);
        const std::string piece(4096, 'x');
        while (filler.write(piece.data(), static_cast<std::streamsize>(piece.size())).flush()) {
        }
    }

    TemporaryFolder folder_;
    bool is_mounted_ = false;
};

TEST_F(SmallDisk, WithoutRoomNothingIsMade) {
    fill();
    const std::string path = folder_.path("run.h5");
    EXPECT_THAT(refusal_to_create(path), HasSubstr("No space left on device"));
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(SmallDisk, LosesNothingWhereRoomComesBack) {
    const RunDescription run = sample_description(8);
    RunWriter writer(folder_.path("run.h5"), run, false);
    writer.set_block_iterations(64);
    writer.append(sample_block(run, 0, 64));
    fill();
    for (std::int64_t first = 64; first < 640; first += 64) {
        writer.append(sample_block(run, first, 64));
    }
    EXPECT_LT(writer.committed_iterations(), 640);
    EXPECT_EQ(summarize(writer.path()).committed_iterations, writer.committed_iterations());
    std::filesystem::remove(folder_.path("filler"));
    writer.append(sample_block(run, 640, 64));
    EXPECT_EQ(writer.committed_iterations(), 704);
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    EXPECT_THAT(check_run_file(writer.path()), IsEmpty());
}

TEST_F(SmallDisk, KeepsWhatWasCommittedAndSaysWhatIsLost) {
    const RunDescription run = sample_description(8);
    RunWriter writer(folder_.path("run.h5"), run, false);
    writer.set_block_iterations(64);
    writer.append(sample_block(run, 0, 64));
    fill();
    for (std::int64_t first = 64; first < 640; first += 64) {
        writer.append(sample_block(run, first, 64));
    }
    const std::int64_t committed = writer.committed_iterations();
    EXPECT_FALSE(writer.finish(RunStatus::complete));
    const RunSummary summary = summarize(writer.path());
    EXPECT_EQ(summary.status, "complete");
    EXPECT_EQ(summary.committed_iterations, committed);
    EXPECT_EQ(summary.dropped_iterations, 640 - committed);
    EXPECT_THAT(check_run_file(writer.path()),
                ElementsAre(HasSubstr(text("the records of ", 640 - committed, " iterations"))));
    EXPECT_THAT(to_text(summary), HasSubstr(text(640 - committed, " more were lost")));
}

}  // namespace
}  // namespace layerledger
