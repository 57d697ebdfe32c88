#include <gmock/gmock.h>

#include "layerledger/record/gather.hpp"
#include "support/sample_run.hpp"

namespace layerledger {
namespace {

TEST(RecordLayout, CountsEveryQuantityOnce) {
    // 12 scalars, 9 activities, 2 layers x 3 phases twice, 4 ops x 3 phases, 5 buckets x 4 times.
    EXPECT_EQ(RecordLayout({2, 4, 5}).size, 12U + 9U + 12U + 12U + 20U);
}

TEST(RecordLayout, KeepsQuantitiesApart) {
    const RecordLayout layout({2, 1, 3});
    EXPECT_EQ(layout.layer_start - layout.layer_time, 6U);
    EXPECT_EQ(layout.op_time - layout.layer_start, 6U);
    EXPECT_EQ(layout.bucket_ready - layout.op_time, 3U);
    EXPECT_EQ(layout.bucket_start - layout.bucket_ready, 3U);
    EXPECT_EQ(layout.size - layout.bucket_end, 3U);
}

TEST(Pack, PutsEachNumberIntoItsColumn) {
    const RunDescription run = testing::sample_description(1, Level::op);
    const RecordLayout layout(run.extents());
    std::vector<float> row(layout.size, -1.0F);
    pack(layout, testing::sample_account(run, 4, 0), testing::sample_metrics(4, 0), row);

    EXPECT_EQ(row[layout.unaccounted], 0.5F);
    EXPECT_EQ(row[layout.allreduce_hidden], 3.0F);
    EXPECT_THAT(row[layout.memcpy_hidden], ::testing::IsNan());
    EXPECT_THAT(row[layout.launch_bound], ::testing::IsNan());
    EXPECT_THAT(row[layout.d2h_end], ::testing::IsNan());
    EXPECT_EQ(row[layout.loss], 1.5F);
    EXPECT_EQ(row[layout.activity_time + 2], 6.0F);
    EXPECT_EQ(row[layout.layer_time + 2 * 3 + 1], 311.0F);                // output, backward
    EXPECT_THAT(row[layout.layer_time + 1 * 3 + 2], ::testing::IsNan());  // pool1 has no update
    EXPECT_EQ(row[layout.layer_start + 2 * 3 + 1], 1200.0F);
    EXPECT_EQ(row[layout.op_time + 3 + 1], 55.5F);
    EXPECT_EQ(row[layout.bucket_transfer + 1], 2012.0F);
    EXPECT_THAT(row, ::testing::Not(::testing::Contains(-1.0F)));
}

TEST(LargestBlock, KeepsAllRanksRowsWithinTheLimit) {
    const RecordLayout layout({54, 0, 5});
    const std::size_t bytes = layout.size * 4 + 8;
    const std::size_t block = largest_block(layout, 1024);
    EXPECT_LE(block * 1024 * bytes, gather_limit_bytes);
    EXPECT_GT((block + 1) * 1024 * bytes, gather_limit_bytes);
}

TEST(LargestBlock, IsOneWhereASingleIterationIsTooMuch) {
    EXPECT_EQ(largest_block(RecordLayout({1000, 0, 0}), 1'000'000), 1U);
}

}  // namespace
}  // namespace layerledger
