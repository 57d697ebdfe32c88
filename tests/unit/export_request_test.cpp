#include <gmock/gmock.h>

#include "export_command.hpp"

namespace layerledger {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

void expect_refused(const Words& words, const std::string& reason,
                    ExitCode code = ExitCode::usage) {
    try {
        (void)parse_export_request(words);
        ADD_FAILURE() << "accepted, where expected: " << reason;
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), code);
        EXPECT_THAT(error.what(), HasSubstr(reason));
    }
}

TEST(ExportRequest, TakesSeveralRunsAsTables) {
    const ExportRequest request = parse_export_request({"a.h5", "--csv", "out", "b.h5"});
    EXPECT_THAT(request.run_files, ElementsAre("a.h5", "b.h5"));
    EXPECT_EQ(request.csv_folder, "out");
    EXPECT_TRUE(request.trace_file.empty());
    EXPECT_FALSE(request.overwrite);
}

TEST(ExportRequest, TakesAWindowOfATrace) {
    const ExportRequest request =
        parse_export_request({"--trace=t.json.gz", "--overwrite", "a.h5", "--iterations", "5:7"});
    EXPECT_EQ(request.trace_file, "t.json.gz");
    EXPECT_TRUE(request.overwrite);
    ASSERT_TRUE(request.window);
    EXPECT_EQ(request.window->first, 5);
    EXPECT_EQ(request.window->last, 7);
}

TEST(ExportRequest, OneNumberIsAWindowOfOne) {
    const auto window =
        parse_export_request({"a.h5", "--trace", "t.json.gz", "--iterations", "12"}).window;
    ASSERT_TRUE(window);
    EXPECT_EQ(window->first, 12);
    EXPECT_EQ(window->last, 12);
}

TEST(ExportRequest, RefusesWhatMakesNoSense) {
    expect_refused({}, "no file");
    expect_refused({"a.h5"}, "neither --csv nor --trace");
    expect_refused({"a.h5", "--csv", "d", "--trace", "t.gz"}, "together");
    expect_refused({"a.h5", "b.h5", "--trace", "t.gz"}, "of one run");
    expect_refused({"a.h5", "--trace", "t.json"}, ".gz", ExitCode::configuration);
    expect_refused({"a.h5", "--csv", "d", "--iterations", "1:2"}, "belongs to --trace");
    expect_refused({"a.h5", "--csv"}, "wants a value");
    expect_refused({"a.h5", "--csv="}, "wants a value");
    expect_refused({"a.h5", "--overwrite=yes", "--csv", "d"}, "takes no value");
    expect_refused({"a.h5", "--cvs", "d"}, "did you mean '--csv'?");
    for (const char* window : {"7:5", "a:b", "-1:2", "1:", ":2", "1:2:3", "1.5"}) {
        expect_refused({"a.h5", "--trace", "t.gz", "--iterations", window}, "is no window",
                       ExitCode::configuration);
    }
}

}  // namespace
}  // namespace layerledger
