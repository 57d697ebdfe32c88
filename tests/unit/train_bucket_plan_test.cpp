#include <gtest/gtest.h>

#include "layerledger/train/bucket_plan.hpp"

namespace layerledger {
namespace {

/// An arena whose layers, first to last, have these sizes.
ArenaPlan arena_of(const std::vector<std::size_t>& sizes) {
    ArenaPlan plan;
    plan.layers.resize(sizes.size());
    for (std::size_t i = sizes.size(); i-- > 0;) {
        plan.layers[i] = {plan.size, sizes[i]};
        plan.size += sizes[i];
    }
    return plan;
}

std::vector<Slice> slices(const std::vector<Bucket>& buckets) {
    std::vector<Slice> result;
    for (const Bucket& bucket : buckets) {
        result.push_back(bucket.slice);
    }
    return result;
}

TEST(BucketPlan, SmallLayersTravelTogether) {
    const auto buckets = plan_buckets(arena_of({16, 16, 16, 16}), 128);
    ASSERT_EQ(buckets.size(), 1U);
    EXPECT_EQ(buckets[0].slice, (Slice{0, 64}));
    EXPECT_EQ(buckets[0].layers.size(), 4U);
    EXPECT_EQ(buckets[0].last_layer(), LayerId{0});
}

TEST(BucketPlan, ALargeLayerTravelsInPieces) {
    const auto buckets = plan_buckets(arena_of({16, 320}), 128);
    EXPECT_EQ(slices(buckets), (std::vector<Slice>{{0, 128}, {128, 128}, {256, 64}, {320, 16}}));
    EXPECT_EQ(buckets[2].last_layer(), LayerId{1});  // half full: does not wait for layer 0
    EXPECT_EQ(buckets[3].last_layer(), LayerId{0});
}

TEST(BucketPlan, ALessThanHalfFullBucketWaitsForTheNextLayer) {
    const auto buckets = plan_buckets(arena_of({100, 32}), 128);
    EXPECT_EQ(slices(buckets), (std::vector<Slice>{{0, 128}, {128, 4}}));
    EXPECT_EQ(buckets[0].last_layer(), LayerId{0});
}

TEST(BucketPlan, CoversTheArenaOnceInOrder) {
    const ArenaPlan arena = arena_of({7, 0, 500, 33, 1024, 0, 16});
    std::size_t next = 0;
    for (const Bucket& bucket : plan_buckets(arena, 64)) {
        EXPECT_EQ(bucket.slice.offset, next);
        EXPECT_LE(bucket.slice.size, 64U);
        EXPECT_GT(bucket.slice.size, 0U);
        next = bucket.slice.end();
    }
    EXPECT_EQ(next, arena.size);
}

TEST(BucketPlan, BucketsAreCompletedInBackwardOrder) {
    std::int32_t last = 1000;
    for (const Bucket& bucket : plan_buckets(arena_of({64, 10, 90, 5, 200}), 64)) {
        EXPECT_LE(bucket.last_layer().value, last);
        last = bucket.last_layer().value;
    }
}

}  // namespace
}  // namespace layerledger
