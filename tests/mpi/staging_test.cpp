// Staging on several nodes: here every rank says that it is the first of a node of its own.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "data/staging_marker.hpp"
#include "stage_data.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

const RootLock::Waiting at_once{1s, [](std::chrono::seconds) {}, [] { return false; }};

class Staging : public ::testing::Test {
protected:
    Staging() : world_(Communicator::world()) {
        if (std::system("rsync --version >/dev/null 2>&1") != 0) {  // NOLINT: no other thread runs
            is_skipped_ = true;
            return;
        }
        // Rank 0's folder holds the remote, and every rank's root lies in its own.
        remote_ = world_.broadcast(folder_.path("remote"));
        if (world_.is_root()) {
            write(remote_ + "/train/cat/1.jpg", "one");
            write(remote_ + "/train/dog/2.jpg", "two");
        }
        world_.barrier();
        experiment_.data.source = DataSource::folder;
        experiment_.data.remote = remote_;
        experiment_.data.root = folder_.path("root");
        experiment_.data.remote_timeout_seconds = 60;
    }
    ~Staging() override { world_.barrier(); }  // until all have read rank 0's folder
    void SetUp() override {
        if (is_skipped_) {
            GTEST_SKIP() << "there is no rsync";
        }
    }

    static void write(const fs::path& path, const std::string& content) {
        fs::create_directories(path.parent_path());
        std::ofstream(path) << content;
    }
    StagedData stage_it(bool only_look = false) {
        return stage_data(world_, first_of_its_node_, experiment_, only_look);
    }
    /// The code of the error that all ranks agree on, met by `culprit`.
    void expect_agreed(ExitCode code, int culprit) {
        try {
            static_cast<void>(stage_it());
            FAIL() << "nothing was refused";
        } catch (const AgreedError& error) {
            EXPECT_EQ(error.code(), code) << error.what();
            EXPECT_EQ(error.met_here(), world_.rank() == culprit) << error.what();
        }
    }

    Communicator world_;
    testing::TemporaryFolder folder_;
    std::string remote_;
    Experiment experiment_;
    RankMap first_of_its_node_;
    bool is_skipped_ = false;
};

TEST_F(Staging, GoesOnToEveryNodeAndIsSummedUp) {
    const StagedData data = stage_it();
    EXPECT_TRUE(data.is_here);
    EXPECT_THAT(data.settings.classes, ::testing::ElementsAre("cat", "dog"));
    EXPECT_TRUE(fs::exists(folder_.path("root/train/cat/1.jpg")));
    ASSERT_TRUE(data.record);
    EXPECT_EQ(data.record->nodes, world_.size());
    EXPECT_EQ(data.record->skipped_nodes, 0);
    EXPECT_EQ(data.record->files, 2);
    EXPECT_EQ(data.record->bytes, 6);
    EXPECT_EQ(data.record->set_files, 2);
    EXPECT_GT(data.record->seconds, 0);

    if (world_.rank() == world_.size() - 1) {
        fs::remove(folder_.path("root/train/cat/1.jpg"));
    }
    const StagedData again = stage_it();
    EXPECT_EQ(again.record->skipped_nodes, world_.size() - 1);
    EXPECT_EQ(again.record->files, 1);  // on the node that got most
}

TEST_F(Staging, OnlyTheFirstRankOfANodeWorks) {
    first_of_its_node_.local_rank = world_.rank();
    const StagedData data = stage_it();
    EXPECT_EQ(data.record->nodes, 1);
    EXPECT_EQ(data.record->set_files, 2);
    EXPECT_EQ(fs::exists(folder_.path("root/train")), world_.is_root());
}

TEST_F(Staging, ANodeThatCannotEndsTheOthersAtOnce) {
    const int culprit = world_.size() - 1;
    std::optional<RootLock> held;
    if (world_.rank() == culprit) {
        write(folder_.path("file"), "");
        experiment_.data.root = folder_.path("file/root");
    } else {  // this node would wait longer than the test may take
        fs::create_directories(folder_.path("root"));
        held.emplace(folder_.path("root"), RootLock::Kind::stage, at_once);
    }
    expect_agreed(ExitCode::cannot_create, culprit);
}

TEST_F(Staging, NodesWithDifferentSetsAreRefused) {
    if (world_.size() == 1) {
        GTEST_SKIP() << "one node alone has one set";
    }
    if (world_.rank() == 1) {
        experiment_.data.remote = folder_.path("other");
        write(folder_.path("other/train/cat/1.jpg"), "one");
        write(folder_.path("other/train/dog/2.jpg"), "twice");
    }
    expect_agreed(ExitCode::bad_data, 0);
}

TEST_F(Staging, AHalfMadeSetIsRefusedOnWhateverNodeItIs) {
    const int culprit = world_.size() - 1;
    static_cast<void>(stage_it());
    if (world_.rank() == culprit) {
        write_marker(experiment_.data.root, {0, false, remote_, {}, {}, 0, 0, 0});
    }
    experiment_.data.remote.clear();
    expect_agreed(ExitCode::bad_data, culprit);
}

TEST_F(Staging, LookingLeavesEveryNodeAsItIs) {
    EXPECT_FALSE(stage_it(/*only_look=*/true).is_here);
    EXPECT_FALSE(fs::exists(folder_.path("root")));
}

TEST_F(Staging, ASignalToAnyRankStopsAll) {
    const int culprit = world_.size() - 1;
    fs::create_directories(folder_.path("root"));
    const RootLock held(folder_.path("root"), RootLock::Kind::stage, at_once);
    std::optional<std::jthread> sender;
    if (world_.rank() == culprit) {
        sender.emplace([] {
            std::this_thread::sleep_for(500ms);  // until all wait
            kill(getpid(), SIGUSR1);
        });
    }
    expect_agreed(ExitCode::interrupted, culprit);
}

}  // namespace
}  // namespace layerledger
