#include "remembered_engines.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "layerledger/base/error.hpp"

namespace layerledger::cuda {
namespace {

namespace fs = std::filesystem;

class RememberedEnginesTest : public testing::Test {
protected:
    RememberedEnginesTest() { fs::remove_all(folder_); }
    ~RememberedEnginesTest() override { fs::remove_all(folder_); }

    static std::string found(const RememberedEngines& engines, const std::string& problem) {
        const std::string* engine = engines.find(problem);
        return engine == nullptr ? "none" : *engine;
    }

    const fs::path folder_ = fs::path(testing::TempDir()) /
                             testing::UnitTest::GetInstance()->current_test_info()->name();
    const std::string file_ = (folder_ / "cache" / "engines.tsv").string();
};

TEST_F(RememberedEnginesTest, AFileThatIsNotThereIsMadeWithItsFolder) {
    RememberedEngines engines;
    engines.load(file_);
    EXPECT_EQ(found(engines, "one"), "none");
    engines.set("one", "engine 1 (k2=3)");
    engines.save(file_);
    RememberedEngines later;
    later.load(file_);
    EXPECT_EQ(found(later, "one"), "engine 1 (k2=3)");
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "cache"), {}), 1);
}

TEST_F(RememberedEnginesTest, OfTwoJobsThatSaveNeitherLosesWhatTheOtherFound) {
    RememberedEngines first;
    RememberedEngines second;
    first.load(file_);
    second.load(file_);
    first.set("one", "engine 1");
    first.set("both", "engine 3");
    first.save(file_);
    second.set("two", "engine 2");
    second.set("both", "engine 4");
    second.save(file_);
    RememberedEngines later;
    later.load(file_);
    EXPECT_EQ(found(later, "one"), "engine 1");
    EXPECT_EQ(found(later, "two"), "engine 2");
    EXPECT_EQ(found(later, "both"), "engine 4");  // the newest
    EXPECT_EQ(found(second, "one"), "none");      // of what it uses nothing has changed
}

TEST_F(RememberedEnginesTest, LinesThatSayNothingAreLeftOut) {
    fs::create_directories(folder_ / "cache");
    std::ofstream(file_) << "no tab\n\none\tengine 1\n";
    RememberedEngines engines;
    engines.load(file_);
    EXPECT_EQ(found(engines, "no tab"), "none");
    EXPECT_EQ(found(engines, "one"), "engine 1");
}

TEST_F(RememberedEnginesTest, WhatCannotBeWrittenIsAnError) {
    fs::create_directories(folder_);
    std::ofstream(folder_ / "cache") << "a file where a folder is wanted\n";
    RememberedEngines engines;
    engines.set("one", "engine 1");
    EXPECT_THROW(engines.save(file_), Error);
}

}  // namespace
}  // namespace layerledger::cuda
