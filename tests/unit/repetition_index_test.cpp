#include "repetition_index.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

using testing::TemporaryFolder;

std::string content(const std::string& path) {
    std::ostringstream all;
    all << std::ifstream(path).rdbuf();
    return all.str();
}

const std::string header =
    "repetition,seed,directory,status,exit_code,iteration_ms,images_per_s,validation_top1,seconds,"
    "reason\n";

TEST(RepetitionIndex, SaysWhatIsKnown) {
    Repetition complete{7, "repetition-01"};
    complete.status = "complete";
    complete.iteration_ms = 2.5;
    complete.images_per_second = 1000;
    complete.validation_top1 = 0.75;
    complete.seconds = 12.3456;
    Repetition failed{8, "repetition-02"};
    failed.status = "failed";
    failed.code = ExitCode::bad_data;
    failed.reason = "rank 1: 'a.jpg' is cut short, or so";
    EXPECT_EQ(index_text({complete, failed, {9, "repetition-03"}}),
              header +
                  "1,7,repetition-01,complete,0,2.500000,1000.000,0.75,12.346,\n"
                  "2,8,repetition-02,failed,65,,,,,\"rank 1: 'a.jpg' is cut short, or so\"\n"
                  "3,9,repetition-03,waiting,,,,,,\n");
}

TEST(RepetitionIndex, ReadsBack) {
    Repetition complete{18'446'744'073'709'551'615U, "repetition-01"};
    complete.status = "complete";
    complete.iteration_ms = 2.5;
    complete.images_per_second = 1000;
    complete.seconds = 12.25;
    Repetition failed{0, "repetition-02"};
    failed.status = "failed";
    failed.code = ExitCode::bad_data;
    failed.reason = "\"a, b\" (\"\", c) \"";
    const std::string text = index_text({complete, failed, {1, "repetition-03"}});
    EXPECT_EQ(index_text(parse_index(text)), text);
    EXPECT_THROW((void)parse_index(header + "1,7,repetition-01\n"), Error);
    EXPECT_THROW((void)parse_index(header + "1,7,repetition-01,failed,70,x,,,,\n"), Error);
}

TEST(RepetitionIndex, AnotherRankCanMarkAFailure) {
    const TemporaryFolder folder;
    const std::string path = folder.path("index.csv");
    std::vector<Repetition> all{{7, "repetition-01"}, {8, "repetition-02"}};
    all[0].status = "running";
    write_index(path, all);
    mark_repetition_failed(path, all[0], 0, {ExitCode::internal, "lost\nnode"});
    EXPECT_EQ(content(path), header +
                                 "1,7,repetition-01,failed,70,,,,,lost node\n"
                                 "2,8,repetition-02,waiting,,,,,,\n");
}

TEST(RepetitionIndex, MarkingDoesNotMakeAnIndex) {
    const TemporaryFolder folder;
    mark_repetition_failed(folder.path("index.csv"), {7, "repetition-01"}, 0,
                           {ExitCode::internal, "lost"});
    EXPECT_EQ(content(folder.path("index.csv")), "");
}

}  // namespace
}  // namespace layerledger
