#include "layerledger/record/twin.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "layerledger/base/error.hpp"
#include "layerledger/record/run_reader.hpp"
#include "support/sample_run.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

using ::testing::HasSubstr;
using testing::sample_block;
using testing::sample_description;
using ::testing::StartsWith;
using testing::TemporaryFolder;

/// Iterations whose time on rank r is `time_us` + r, and `step_us` longer each; 0 and 1 are
/// warm-up.
void write_run(const std::string& path, float time_us, bool profiled, std::size_t count = 10,
               float step_us = 0) {
    const RunDescription run = sample_description(2);
    const RecordLayout layout(run.extents());
    RecordBlock block = sample_block(run, 0, count);
    for (std::size_t row = 0; row < block.starts_ns.size(); ++row) {
        block.rows[row * layout.size + layout.iteration_time] =
            time_us + static_cast<float>(row / count) + step_us * static_cast<float>(row % count);
    }
    for (IterationFacts& facts : block.facts) {
        facts.profiled = profiled;
    }
    RunWriter writer(path, run, false);
    writer.append(std::move(block));
    EXPECT_TRUE(writer.finish(RunStatus::complete));
}

TEST(Twin, ComparesTheSlowestRankAfterWarmUp) {
    const TemporaryFolder folder;
    write_run(folder.path("with.h5"), 149, true);
    write_run(folder.path("without.h5"), 99, false);
    const TwinRecord twin = compare_twins(folder.path("with.h5"), folder.path("without.h5"));
    EXPECT_DOUBLE_EQ(twin.profiled_us, 150);
    EXPECT_DOUBLE_EQ(twin.unprofiled_us, 100);
    EXPECT_DOUBLE_EQ(twin.percent, 50);
    EXPECT_DOUBLE_EQ(twin.median_percent, 50);
    EXPECT_DOUBLE_EQ(twin.profiled_seconds, 150e-6 * 10);
    EXPECT_DOUBLE_EQ(twin.median_low, 50);  // nothing varies
    EXPECT_DOUBLE_EQ(twin.median_high, 50);
    EXPECT_THAT(to_text(compare_twins(folder.path("without.h5"), folder.path("with.h5"))),
                HasSubstr("-33.33 to -33.33; profiling makes nothing faster: the machine was not "
                          "the same in both)"));
    EXPECT_THAT(to_text(twin),
                StartsWith("+50.00 % of the median iteration (95 % interval 50.00 to 50.00); "
                           "training +50.00 % (0.002 s against 0.001 s), mean iteration +50.00 %"));
}

TEST(Twin, TheIntervalIsAsWideAsBothRunsVary) {
    const TemporaryFolder folder;
    // Without warm-up 7 iterations: with 97.5 % the median lies between the least and the greatest.
    write_run(folder.path("with.h5"), 199, true, 9, /*step_us=*/10);
    write_run(folder.path("without.h5"), 99, false, 9, /*step_us=*/5);
    const TwinRecord twin = compare_twins(folder.path("with.h5"), folder.path("without.h5"));
    EXPECT_DOUBLE_EQ(twin.median_percent, (250.0 / 125 - 1) * 100);
    EXPECT_DOUBLE_EQ(twin.median_low, (220.0 / 140 - 1) * 100);
    EXPECT_DOUBLE_EQ(twin.median_high, (280.0 / 110 - 1) * 100);
}

TEST(Twin, FewIterationsHaveNoInterval) {
    const TemporaryFolder folder;
    write_run(folder.path("with.h5"), 149, true, 8);
    write_run(folder.path("without.h5"), 99, false, 8);
    const TwinRecord twin = compare_twins(folder.path("with.h5"), folder.path("without.h5"));
    EXPECT_DOUBLE_EQ(twin.median_percent, 50);
    EXPECT_TRUE(std::isnan(twin.median_low) && std::isnan(twin.median_high));
    EXPECT_THAT(to_text(twin), HasSubstr("too few iterations for an interval"));
}

TEST(Twin, IsKeptInTheRunFile) {
    const TemporaryFolder folder;
    const RunDescription run = sample_description(2);
    RunWriter writer(folder.path("run.h5"), run, false);
    writer.append(sample_block(run, 0, 10));
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    EXPECT_FALSE(summarize(folder.path("run.h5")).twin);
    store_twin(folder.path("run.h5"), {1.25, 1, 1.75, 1.5, 203, 200, 3, 2.5});
    const auto twin = summarize(folder.path("run.h5")).twin;
    ASSERT_TRUE(twin);
    EXPECT_DOUBLE_EQ(twin->percent, 1.5);
    EXPECT_DOUBLE_EQ(twin->median_high, 1.75);
    EXPECT_DOUBLE_EQ(twin->unprofiled_seconds, 2.5);
    EXPECT_TRUE(check_run_file(folder.path("run.h5")).empty());
}

TEST(Twin, NeedsIterationsAfterWarmUp) {
    const TemporaryFolder folder;
    write_run(folder.path("run.h5"), 150, true, 2);
    EXPECT_THROW((void)compare_twins(folder.path("run.h5"), folder.path("run.h5")), Error);
}

}  // namespace
}  // namespace layerledger
