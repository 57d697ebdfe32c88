// Staging from a folder of this machine, by the rsync of this machine.
#include "layerledger/data/staging.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <optional>
#include <thread>

#include "data/staging_marker.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/data/image_index.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

ExitCode code_of(const std::function<void()>& step) {
    try {
        step();
    } catch (const Error& error) {
        return error.code();
    }
    return ExitCode::ok;
}

TEST(ExpandEnvironment, ReplacesVariables) {
    ::setenv("LL_DISK", "/disk", 1);
    ::setenv("LL_EMPTY", "", 1);
    ::unsetenv("LL_UNSET");
    const auto expand = [](const std::string& path) {
        return expand_environment(path, "data.root");
    };
    EXPECT_EQ(expand("$LL_DISK/set"), "/disk/set");
    EXPECT_EQ(expand("/a/${LL_DISK}b$LL_DISK"), "/a//diskb/disk");
    EXPECT_EQ(expand("/plain"), "/plain");
    EXPECT_EQ(expand("/a$/b$"), "/a$/b$");
    EXPECT_EQ(expand("/${LL_DISK"), "/${LL_DISK");
    EXPECT_EQ(expand(""), "");
    for (const char* path : {"$LL_UNSET/x", "${LL_EMPTY}"}) {
        EXPECT_EQ(code_of([&] { static_cast<void>(expand(path)); }), ExitCode::configuration);
    }
}

const RootLock::Waiting at_once{10s, [](std::chrono::seconds) {}, [] { return false; }};

class StagingTest : public ::testing::Test {
protected:
    StagingTest() {
        if (std::system("rsync --version >/dev/null 2>&1") != 0) {  // NOLINT: no other thread runs
            is_skipped_ = true;
            return;
        }
        for (const char* name :
             {"train/cat/1.jpg", "train/cat/2.jpg", "train/dog/1.jpg", "train/fox/1.jpg",
              "val/cat/1.jpg", "val/fox/1.jpg", "val/flat.jpg", "names.txt", "other.bin",
              "train/cat/deeper/1.jpg"}) {
            write(remote() / name, name);
        }
        settings_.remote = remote();
        settings_.root = root();
        settings_.classes = {"cat", "dog"};
        settings_.remote_timeout_seconds = 20;
    }
    void SetUp() override {
        if (is_skipped_) {
            GTEST_SKIP() << "there is no rsync";
        }
    }

    [[nodiscard]] fs::path remote() const { return fs::path(folder_.path("")) / "remote"; }
    [[nodiscard]] fs::path root() const { return fs::path(folder_.path("")) / "disk" / "set"; }
    [[nodiscard]] fs::path lock_file() const { return root() / ".layerledger-staging.lock"; }
    static void write(const fs::path& path, const std::string& content) {
        fs::create_directories(path.parent_path());
        std::ofstream(path) << content;
    }
    StagedSet stage_it(bool only_look = false) {
        StagingProgress progress;
        return stage({settings_, only_look}, progress, {});
    }
    [[nodiscard]] std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root())) {
            if (entry.is_regular_file() && !entry.path().filename().native().starts_with('.')) {
                names.push_back(fs::relative(entry.path(), root()).native());
            }
        }
        std::sort(names.begin(), names.end());
        return names;
    }

    /// What validation of the staged root takes: images and their classes.
    void expect_validation(const std::vector<std::string>& expected) const {
        const ImageIndex index = scan_image_folder(settings_);
        std::vector<std::string> found;
        for (const ImageIndex::Image& image : index.val) {
            found.push_back(image.path + " " +
                            index.classes.at(static_cast<std::size_t>(image.label)));
        }
        EXPECT_EQ(found, expected);
    }

    testing::TemporaryFolder folder_;
    DataSettings settings_;
    bool is_skipped_ = false;
    std::future<StagedSet> waiting_;
};

TEST_F(StagingTest, LeavesTheOwnersFilesAlone) {
    write(root() / "notes.txt", "mine");
    write(root() / "results.csv", "mine");
    write(root() / "val_labels.txt", "an earlier set's");
    stage_it();
    write(remote() / "train/cat/3.jpg", "new");
    fs::remove(remote() / "names.txt");
    stage_it();
    EXPECT_THAT(files(), ElementsAre("names.txt", "notes.txt", "results.csv", "train/cat/1.jpg",
                                     "train/cat/2.jpg", "train/cat/3.jpg", "train/dog/1.jpg",
                                     "val/cat/1.jpg", "val/flat.jpg"));
}

TEST_F(StagingTest, RefusesAValFolderThatItDidNotMake) {
    write(root() / "val/mine.jpg", "mine");
    EXPECT_EQ(code_of([&] { stage_it(); }), ExitCode::cannot_create);
    EXPECT_TRUE(fs::exists(root() / "val/mine.jpg"));
}

TEST_F(StagingTest, BringsTheChosenClassesOnly) {
    const StagedSet set = stage_it();
    EXPECT_THAT(set.classes, ElementsAre("cat", "dog"));
    EXPECT_THAT(files(), ElementsAre("names.txt", "train/cat/1.jpg", "train/cat/2.jpg",
                                     "train/dog/1.jpg", "val/cat/1.jpg", "val/flat.jpg"));
    EXPECT_EQ(set.files, 6);
    EXPECT_EQ(set.transferred_files, 6);
    EXPECT_GT(set.bytes, 60);
    EXPECT_EQ(set.transferred_bytes, set.bytes);
    require_whole(root());
}

TEST_F(StagingTest, DoesNothingWhereTheRootIsUpToDate) {
    const StagedSet first = stage_it();
    const auto marked = fs::last_write_time(root() / ".layerledger-staged");
    const StagedSet second = stage_it();
    EXPECT_EQ(second.transferred_files, 0);
    EXPECT_EQ(second.files, first.files);
    EXPECT_EQ(second.digest, first.digest);
    EXPECT_EQ(fs::last_write_time(root() / ".layerledger-staged"), marked);
}

TEST_F(StagingTest, BringsWhatIsNewAndRemovesWhatIsGone) {
    static_cast<void>(stage_it());
    write(remote() / "train/cat/3.jpg", "new");
    fs::remove(remote() / "train/dog/1.jpg");
    write(remote() / "train/dog/2.jpg", "other");
    const StagedSet set = stage_it();
    EXPECT_EQ(set.transferred_files, 2);
    EXPECT_THAT(files(),
                ElementsAre("names.txt", "train/cat/1.jpg", "train/cat/2.jpg", "train/cat/3.jpg",
                            "train/dog/2.jpg", "val/cat/1.jpg", "val/flat.jpg"));
}

TEST_F(StagingTest, RepairsALocalLoss) {
    static_cast<void>(stage_it());
    fs::remove(root() / "train/cat/1.jpg");
    EXPECT_EQ(stage_it().transferred_files, 1);
    EXPECT_TRUE(fs::exists(root() / "train/cat/1.jpg"));
}

TEST_F(StagingTest, OtherClassesComeAndTheOldOnesStay) {
    static_cast<void>(stage_it());
    settings_.classes = {"cat", "fox"};
    const StagedSet set = stage_it();
    EXPECT_THAT(set.classes, ElementsAre("cat", "fox"));
    EXPECT_EQ(set.transferred_files, 2);
    EXPECT_TRUE(fs::exists(root() / "train/dog/1.jpg"));
}

TEST_F(StagingTest, ACountMeansTheRemotesFirstClasses) {
    settings_.classes = {"2"};
    EXPECT_THAT(stage_it().classes, ElementsAre("cat", "dog"));
}

TEST_F(StagingTest, TakesNamesByTheLetter) {
    for (const char* name : {"a\\b", "b*r", "bar", "x[1]", "x1", "what?", "do g", "Wäsche"}) {
        write(remote() / "train" / name / "1.jpg", name);
    }
    settings_.classes = {"a\\b", "b*r", "x[1]", "what?", "do g", "Wäsche"};
    static_cast<void>(stage_it());
    EXPECT_THAT(files(), ElementsAre("names.txt", "train/Wäsche/1.jpg", "train/a\\b/1.jpg",
                                     "train/b*r/1.jpg", "train/do g/1.jpg", "train/what?/1.jpg",
                                     "train/x[1]/1.jpg", "val/flat.jpg"));
}

TEST_F(StagingTest, FindsKagglesTree) {
    const fs::path kaggle = fs::path(folder_.path("")) / "kaggle";
    for (const char* name : {"n01440764", "n02102040", "n02979186"}) {
        write(kaggle / "ILSVRC/Data/CLS-LOC/train" / name / "1.JPEG", "1");
    }
    for (const char* name :
         {"ILSVRC2012_val_00000001", "ILSVRC2012_val_00000002", "ILSVRC2012_val_00000003"}) {
        write(kaggle / "ILSVRC/Data/CLS-LOC/val" / (std::string(name) + ".JPEG"), "3");
    }
    write(kaggle / "ILSVRC/Annotations/1.xml", "4");
    write(kaggle / "LOC_val_solution.csv",
          "ImageId,PredictionString\n"
          "ILSVRC2012_val_00000003,n02102040 85 1 499 272 \n"
          "ILSVRC2012_val_00000001,n02979186 111 108 441 193 n02979186 1 2 3 4 \n"
          "ILSVRC2012_val_00000002,n01440764 63 1 406 374 \n");
    settings_.remote = kaggle;
    settings_.classes = {"2"};
    static_cast<void>(stage_it());
    EXPECT_THAT(files(), ElementsAre("ILSVRC/Data/CLS-LOC/train/n01440764/1.JPEG",
                                     "ILSVRC/Data/CLS-LOC/train/n02102040/1.JPEG",
                                     "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.JPEG",
                                     "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000002.JPEG",
                                     "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000003.JPEG",
                                     "LOC_val_solution.csv"));
    expect_validation({"ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000002.JPEG n01440764",
                       "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000003.JPEG n02102040"});
}

// The list speaks of all classes, the root has two of them.
TEST_F(StagingTest, AStagedPartOfAFlatSetCanBeTrainedOn) {
    for (const char* list :
         {"flat.jpg fox\na.jpg dog\nb.jpg cat\n", "flat.jpg 2\na.jpg 1\nb.jpg 0\n"}) {
        fs::remove_all(root());
        fs::remove_all(remote() / "val");
        for (const char* name : {"flat.jpg", "a.jpg", "b.jpg"}) {
            write(remote() / "val" / name, name);
        }
        write(remote() / "val_labels.txt", list);
        settings_.classes = {"dog", "fox"};
        static_cast<void>(stage_it());
        expect_validation({"val/a.jpg dog", "val/flat.jpg fox"});
    }
}

TEST_F(StagingTest, FollowsLinks) {
    fs::create_symlink(remote() / "train/fox", remote() / "train/linked");
    settings_.classes = {"cat", "linked"};
    static_cast<void>(stage_it());
    EXPECT_TRUE(fs::is_regular_file(root() / "train/linked/1.jpg"));
    EXPECT_FALSE(fs::is_symlink(root() / "train/linked"));
}

TEST_F(StagingTest, LookingChangesNothing) {
    const StagedSet found = stage_it(/*only_look=*/true);
    EXPECT_FALSE(found.is_whole);
    EXPECT_EQ(found.transferred_files, 6);
    EXPECT_FALSE(fs::exists(root()));
    static_cast<void>(stage_it());
    EXPECT_TRUE(stage_it(/*only_look=*/true).is_whole);
}

TEST_F(StagingTest, NeverTakesOverAFolderThatItDidNotMake) {
    write(root() / "train/cat/precious.jpg", "mine");
    EXPECT_EQ(code_of([&] { static_cast<void>(stage_it()); }), ExitCode::cannot_create);
    EXPECT_THAT(files(), ElementsAre("train/cat/precious.jpg"));
}

TEST_F(StagingTest, RefusesClassesThatAreNotThereAndBeginsNothing) {
    settings_.classes = {"cat", "dogg"};
    try {
        static_cast<void>(stage_it());
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::configuration);
        EXPECT_THAT(error.what(), HasSubstr("did you mean 'dog'"));
    }
    require_whole(root());
}

TEST_F(StagingTest, AFailureBeforeTheTransferLeavesTheOldSet) {
    static_cast<void>(stage_it());
    fs::create_symlink("nowhere", remote() / "train/cat/3.jpg");
    EXPECT_EQ(code_of([&] { static_cast<void>(stage_it()); }), ExitCode::input_missing);
    require_whole(root());
}

TEST_F(StagingTest, AFailureInTheTransferLeavesARootThatIsNotWhole) {
    static_cast<void>(stage_it());
    settings_.classes = {"cat", "dog", "fox"};
    fs::create_symlink("nowhere", remote() / "train/fox/3.jpg");
    EXPECT_EQ(code_of([&] { static_cast<void>(stage_it()); }), ExitCode::input_missing);
    EXPECT_EQ(code_of([&] { require_whole(root()); }), ExitCode::bad_data);
    fs::remove(remote() / "train/fox/3.jpg");
    static_cast<void>(stage_it());
    require_whole(root());
    EXPECT_TRUE(fs::exists(root() / "train/fox/1.jpg"));
}

TEST_F(StagingTest, MissingRemoteIsAMissingInput) {
    settings_.remote = fs::path(folder_.path("")) / "no-such-folder";
    EXPECT_EQ(code_of([&] { static_cast<void>(stage_it()); }), ExitCode::input_missing);
}

TEST_F(StagingTest, RefusesARootThatIsTheRemoteOrLiesInItOrAroundIt) {
    const fs::path link = fs::path(folder_.path("")) / "link";
    fs::create_symlink(remote(), link);
    for (const fs::path& root : {remote(), remote() / "", remote() / "copy/deeper", link / "copy",
                                 remote().parent_path(), remote() / ".."}) {
        for (const bool only_look : {false, true}) {
            settings_.root = root;
            EXPECT_EQ(code_of([&] { static_cast<void>(stage_it(only_look)); }),
                      ExitCode::configuration)
                << root;
        }
    }
    EXPECT_FALSE(fs::exists(remote() / "copy"));
    settings_.root = remote().native() + "-too";  // only its name begins alike
    EXPECT_EQ(stage_it().transferred_files, 6);
}

// Of another folder that is none, of a dead host: nothing is left that someone has to wonder at.
TEST_F(StagingTest, LeavesNoLockBehind) {
    static_cast<void>(stage_it());
    EXPECT_FALSE(fs::exists(lock_file()));
    settings_.remote = fs::path(folder_.path("")) / "no-such-folder";
    EXPECT_EQ(code_of([&] { static_cast<void>(stage_it()); }), ExitCode::input_missing);
    EXPECT_FALSE(fs::exists(lock_file()));
}

// As many nodes at one root that all of them share.
TEST_F(StagingTest, ManyFindOutAtATimeThatTheRootIsUpToDate) {
    static_cast<void>(stage_it());
    {
        const RootLock other_looks(root(), RootLock::Kind::look, at_once);
        EXPECT_EQ(stage_it().transferred_files, 0);
        EXPECT_TRUE(fs::exists(lock_file()));  // still held
        write(remote() / "train/cat/3.jpg", "new");
        std::future<StagedSet> second =
            std::async(std::launch::async, [this] { return stage_it(); });
        EXPECT_EQ(second.wait_for(1s), std::future_status::timeout);
        EXPECT_FALSE(fs::exists(root() / "train/cat/3.jpg"));
        waiting_ = std::move(second);
    }
    EXPECT_EQ(waiting_.get().transferred_files, 1);
    EXPECT_FALSE(fs::exists(lock_file()));
}

// One transfers; who has waited for it does not ask the remote again.
TEST_F(StagingTest, TakesOverWhatAnotherHasStagedMeanwhile) {
    for (const bool was_there : {false, true}) {
        settings_.classes =
            was_there ? std::vector<std::string>{"3"} : std::vector<std::string>{"cat", "dog"};
        fs::create_directories(root());
        std::optional<RootLock> other(std::in_place, root(), RootLock::Kind::stage, at_once);
        std::future<StagedSet> second =
            std::async(std::launch::async, [this] { return stage_it(); });
        EXPECT_EQ(second.wait_for(300ms), std::future_status::timeout);
        const std::vector<std::string> chosen =
            was_there ? std::vector<std::string>{"cat", "dog", "fox"} : settings_.classes;
        write_marker(root(),
                     {0, true, settings_.remote, chosen, {"cat", "dog", "fox"}, 7, 77, 777});
        other.reset();
        const StagedSet set = second.get();
        EXPECT_EQ(set.classes, chosen);
        EXPECT_EQ(set.files, 7);
        EXPECT_EQ(set.bytes, 77);
        EXPECT_EQ(set.digest, 777U);
        EXPECT_EQ(set.transferred_files, 0);
        EXPECT_FALSE(fs::exists(root() / "train"));  // it did believe it
    }
    // What was there before it began has to be looked at.
    EXPECT_EQ(stage_it().transferred_files, 8);
}

TEST_F(StagingTest, StopsOnRequest) {
    std::stop_source stop;
    stop.request_stop();
    StagingProgress progress;
    EXPECT_EQ(code_of([&] {
                  static_cast<void>(stage({settings_, false}, progress, stop.get_token()));
              }),
              ExitCode::interrupted);
}

TEST_F(StagingTest, OneAtATimeWorksOnARoot) {
    fs::create_directories(root());
    std::optional<RootLock> held(std::in_place, root(), RootLock::Kind::stage, at_once);
    std::future<StagedSet> second = std::async(std::launch::async, [this] { return stage_it(); });
    EXPECT_EQ(second.wait_for(500ms), std::future_status::timeout);
    EXPECT_FALSE(fs::exists(root() / "train"));
    held.reset();
    EXPECT_EQ(second.get().transferred_files, 6);
}

class MarkerTest : public ::testing::Test {
protected:
    [[nodiscard]] std::string root() const { return folder_.path(""); }
    void write_text(const std::string& text) const {
        std::ofstream(folder_.path(".layerledger-staged")) << text;
    }
    testing::TemporaryFolder folder_;
};

TEST_F(MarkerTest, ReadsBackWhatItWrote) {
    EXPECT_FALSE(read_marker(root()));
    write_marker(root(), {0,
                          true,
                          "ann@node:/a b",
                          {"cat", "do g"},
                          {"cat", "do g", "fox"},
                          3,
                          40,
                          0xFFFFFFFFFFFFFFFFU});
    const auto marker = read_marker(root());
    ASSERT_TRUE(marker);
    EXPECT_TRUE(marker->is_whole);
    EXPECT_EQ(marker->remote, "ann@node:/a b");
    EXPECT_THAT(marker->classes, ElementsAre("cat", "do g"));
    EXPECT_THAT(marker->whole, ElementsAre("cat", "do g", "fox"));
    EXPECT_EQ(marker->files, 3);
    EXPECT_EQ(marker->bytes, 40);
    EXPECT_EQ(marker->digest, 0xFFFFFFFFFFFFFFFFU);
    write_marker(root(), {0, false, "x", {}, {}, 0, 0, 0});
    EXPECT_FALSE(read_marker(root())->is_whole);
}

TEST_F(MarkerTest, OneThatIsCutShortOrForeignIsNotWhole) {
    write_marker(root(), {0, true, "x", {"cat", "dog"}, {"cat", "dog"}, 3, 40, 7});
    std::ifstream file(folder_.path(".layerledger-staged"));
    const std::string whole(std::istreambuf_iterator<char>(file), {});
    for (std::size_t length = 0; length + 1 < whole.size(); ++length) {
        write_text(whole.substr(0, length));
        const auto marker = read_marker(root());
        ASSERT_TRUE(marker);
        EXPECT_FALSE(marker->is_whole) << length << " of " << whole.size() << " bytes";
    }
    write_text("layerledger staging 3\nwhole\nx\n1 1 2 3\n\n");
    EXPECT_FALSE(read_marker(root())->is_whole);
}

TEST_F(MarkerTest, EachWritingHasAnIdOfItsOwn) {
    const StagingMarker marker{0, true, "x", {"cat"}, {"cat"}, 1, 2, 3};
    write_marker(root(), marker);
    const std::uint64_t first = read_marker(root())->id;
    write_marker(root(), marker);
    EXPECT_NE(read_marker(root())->id, first);
}

TEST_F(MarkerTest, AHolderWithoutASignOfLifeIsGivenUp) {
    const RootLock held(root(), RootLock::Kind::stage, at_once);
    int told = 0;
    for (const RootLock::Kind kind : {RootLock::Kind::look, RootLock::Kind::stage}) {
        EXPECT_EQ(code_of([&] {
                      const RootLock second(
                          root(), kind,
                          {1s, [&](std::chrono::seconds) { ++told; }, [] { return false; }});
                  }),
                  ExitCode::cannot_create);
    }
    EXPECT_EQ(told, 2);
    EXPECT_EQ(code_of([&] {
                  const RootLock second(root(), RootLock::Kind::look,
                                        {10s, [](std::chrono::seconds) {}, [] { return true; }});
              }),
              ExitCode::interrupted);
}

// The file goes with its last holder, and nobody holds one that has gone.
TEST_F(MarkerTest, OneHolderAtATime) {
    constexpr int workers = 4;
    constexpr int times = 50;
    std::atomic<int> holders{0};
    std::atomic<int> most{0};
    std::vector<std::jthread> threads;
    for (int i = 0; i < workers; ++i) {
        threads.emplace_back([&] {
            for (int k = 0; k < times; ++k) {
                const RootLock lock(root(), RootLock::Kind::stage,
                                    {60s, [](std::chrono::seconds) {}, [] { return false; }});
                most = std::max(most.load(), ++holders);
                std::this_thread::yield();
                --holders;
            }
        });
    }
    threads.clear();
    EXPECT_EQ(most, 1);
    EXPECT_FALSE(fs::exists(folder_.path(".layerledger-staging.lock")));
}

}  // namespace
}  // namespace layerledger
