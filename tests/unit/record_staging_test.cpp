// What a run file says about staging.
#include <gmock/gmock.h>

#include "layerledger/record/run_reader.hpp"
#include "layerledger/hdf5/file.hpp"
#include "support/sample_run.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class StagingFacts : public ::testing::Test {
protected:
    [[nodiscard]] std::string path() const { return folder_.path("run.h5"); }
    void write(std::optional<StagingRecord> staging) const {
        RunDescription run = testing::sample_description(2);
        run.staging = staging;
        RunWriter writer(path(), run, false);
        EXPECT_TRUE(writer.finish(RunStatus::complete));
    }
    testing::TemporaryFolder folder_;
};

constexpr StagingRecord two_nodes{.seconds = 83.5,
                                  .files = 1000,
                                  .bytes = 3 << 20,
                                  .set_files = 1300,
                                  .set_bytes = 4 << 20,
                                  .nodes = 2,
                                  .skipped_nodes = 1};

TEST_F(StagingFacts, AreReadBackCheckedAndShown) {
    write(two_nodes);
    EXPECT_THAT(check_run_file(path()), IsEmpty());
    const RunSummary summary = summarize(path());
    ASSERT_TRUE(summary.staging);
    EXPECT_EQ(summary.staging->seconds, 83.5);
    EXPECT_EQ(summary.staging->files, 1000);
    EXPECT_EQ(summary.staging->skipped_nodes, 1);
    EXPECT_THAT(
        to_text(summary),
        HasSubstr("1 min 24 s for 1000 files, 3.0 MiB of a set of 1300 files, 4.0 MiB, on 2 "
                  "nodes (1 were up to date)\n"));
}

TEST_F(StagingFacts, AreAbsentWhereNothingWasStaged) {
    write({});
    EXPECT_THAT(check_run_file(path()), IsEmpty());
    EXPECT_FALSE(summarize(path()).staging);
    EXPECT_THAT(to_text(summarize(path())), Not(HasSubstr("staging")));
}

TEST_F(StagingFacts, SayWhereNothingHadToBeMoved) {
    write(StagingRecord{
        .seconds = 2, .set_files = 1300, .set_bytes = 4 << 20, .nodes = 2, .skipped_nodes = 2});
    EXPECT_THAT(to_text(summarize(path())),
                HasSubstr("a set of 1300 files, 4.0 MiB, was up to date (2 s)\n"));
}

TEST_F(StagingFacts, ThatAreWrongAreFaults) {
    write(two_nodes);
    {
        hdf5::File file = hdf5::File::open(path(), hdf5::Access::write, hdf5::Locking::unlocked);
        constexpr std::int64_t wrong = -1;
        file.write<std::int64_t>("/staging/files", std::span(&wrong, 1));
        file.set_attribute("/staging/bytes", "units", "apples");
        file.close();
    }
    EXPECT_THAT(check_run_file(path()), ElementsAre("/staging/files is negative",
                                                    "/staging/bytes has not the units 'byte'"));
}

}  // namespace
}  // namespace layerledger
