#include "repetition_index.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

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
    EXPECT_EQ(index_text(parse_index("index.csv", text)), text);
    for (const char* row : {"1,7,repetition-01\n", "1,7,repetition-01,failed,70,x,,,,\n"}) {
        try {
            (void)parse_index("index.csv", header + row);
            FAIL() << row;
        } catch (const Error& error) {
            EXPECT_NE(std::string(error.what()).find("'index.csv'"), std::string::npos);
        }
    }
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

TEST(RepetitionIndex, IsWholeWhereSeveralRanksMarkAtOnce) {
    const TemporaryFolder folder;
    const std::string path = folder.path("index.csv");
    std::vector<Repetition> all{{7, "repetition-01"}, {8, "repetition-02"}};
    all[0].status = "running";
    write_index(path, all);
    std::vector<std::thread> ranks;
    for (int rank = 1; rank <= 4; ++rank) {
        ranks.emplace_back([&, rank] {
            const std::string reason(static_cast<std::size_t>(rank) * 1000, 'x');
            for (int i = 0; i < 20; ++i) {
                mark_repetition_failed(path, all[0], 0, {ExitCode::internal, reason});
            }
        });
    }
    for (std::thread& rank : ranks) {
        rank.join();
    }
    const std::vector<Repetition> marked = parse_index(path, content(path));
    ASSERT_EQ(marked.size(), 2U);
    EXPECT_EQ(marked[0].status, "failed");
    EXPECT_EQ(marked[0].reason.size() % 1000, 0U);
    EXPECT_EQ(marked[1].status, "waiting");
}

}  // namespace
}  // namespace layerledger
