#include "layerledger/base/part_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "layerledger/base/error.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

using testing::TemporaryFolder;

void fill(const std::string& path, const std::string& content) {
    std::ofstream(path) << content;
}

std::string content(const std::string& path) {
    std::string line;
    std::ifstream file(path);
    std::getline(file, line);
    return line;
}

TEST(PartFile, TakesThePlaceOfWhatWasThereWhenPublished) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    fill(path, "old");
    PartFile part(path);
    fill(part.path(), "new");
    EXPECT_EQ(content(path), "old");
    part.publish();
    EXPECT_EQ(content(path), "new");
    EXPECT_FALSE(std::filesystem::exists(part.path()));
    fill(part.path(), "newer");
    part.give_name();
    EXPECT_EQ(content(path), "newer");
}

TEST(PartFile, GoesUnlessPublished) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    fill(path, "old");
    {
        const PartFile part(path);
        fill(part.path(), "new");
    }
    EXPECT_EQ(content(path), "old");
    EXPECT_FALSE(std::filesystem::exists(path + ".part"));
}

TEST(PartFile, SaysWhereNothingWasWrittenOrTheNameIsTaken) {
    const TemporaryFolder folder;
    EXPECT_THROW(PartFile(folder.path("run.h5")).publish(), Error);
    std::filesystem::create_directories(folder.path("taken/below"));
    PartFile part(folder.path("taken"));
    fill(part.path(), "new");
    EXPECT_THROW(part.publish(), Error);
}

TEST(PartFile, TheWorkingFolderHasAnEmptyName) {
    EXPECT_NO_THROW(sync_to_disk(""));
    EXPECT_THROW(sync_to_disk("/none/such"), Error);
}

}  // namespace
}  // namespace layerledger
