#include "layerledger/base/output_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "layerledger/base/error.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

using testing::TemporaryFolder;

std::string content(const std::string& path) {
    std::ostringstream all;
    all << std::ifstream(path).rdbuf();
    return all.str();
}

ExitCode code_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.code();
    }
    return ExitCode::ok;
}

TEST(OutputFile, AppearsWhenCommitted) {
    const TemporaryFolder folder;
    const std::string path = folder.path("table.csv");
    OutputFile file(path);
    file.write("a,b\n");
    file.write(std::string(3 << 20, 'x'));
    EXPECT_FALSE(std::filesystem::exists(path));
    file.commit();
    EXPECT_EQ(content(path), "a,b\n" + std::string(3 << 20, 'x'));
    EXPECT_FALSE(std::filesystem::exists(path + ".part"));
}

TEST(OutputFile, LeavesWhatWasThereUnlessCommitted) {
    const TemporaryFolder folder;
    const std::string path = folder.path("table.csv");
    std::ofstream(path) << "old";
    {
        OutputFile file(path);
        file.write("new");
    }
    EXPECT_EQ(content(path), "old");
    EXPECT_FALSE(std::filesystem::exists(path + ".part"));
}

TEST(OutputFile, RefusesAFolderThatIsNotThere) {
    const TemporaryFolder folder;
    EXPECT_EQ(code_of([&] { OutputFile(folder.path("none/table.csv")); }), ExitCode::cannot_create);
    std::ofstream(folder.path("file")) << "x";
    EXPECT_EQ(code_of([&] { make_folder(folder.path("file/below")); }), ExitCode::cannot_create);
    EXPECT_EQ(code_of([&] { require_room_for_folder(folder.path("file/below")); }),
              ExitCode::cannot_create);
    EXPECT_EQ(code_of([&] { require_room_for_folder(folder.path("none/below")); }), ExitCode::ok);
    EXPECT_FALSE(std::filesystem::exists(folder.path("none")));
    make_folder(folder.path("a/b"));
    EXPECT_TRUE(std::filesystem::is_directory(folder.path("a/b")));
}

TEST(OutputFile, SaysThatTheDiskIsFull) {
    if (!std::filesystem::exists("/dev/full")) {
        GTEST_SKIP() << "there is no /dev/full";
    }
    const TemporaryFolder folder;
    std::filesystem::create_symlink("/dev/full", folder.path("table.csv.part"));
    OutputFile file(folder.path("table.csv"));
    file.write("a,b\n");
    EXPECT_EQ(code_of([&] { file.commit(); }), ExitCode::data_lost);
    EXPECT_FALSE(std::filesystem::exists(folder.path("table.csv")));
}

}  // namespace
}  // namespace layerledger
