#include "layerledger/timeline/median_interval.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace layerledger {
namespace {

std::vector<double> up_to(int n) {
    std::vector<double> values(static_cast<std::size_t>(n));
    std::iota(values.rbegin(), values.rend(), 1);  // unsorted
    return values;
}

// By hand from the binomial distribution: of 6 values all lie on one side of the median with
// probability 2/64 = 3.1 %, of 9 at most one does not with 20/512 = 3.9 %.
TEST(MedianInterval, LeavesOutAsManyValuesAsItsConfidenceAllows) {
    EXPECT_FALSE(median_interval(up_to(5), 0.95));
    ASSERT_TRUE(median_interval(up_to(6), 0.95));
    EXPECT_EQ(median_interval(up_to(6), 0.95)->low, 1);
    EXPECT_EQ(median_interval(up_to(6), 0.95)->high, 6);
    EXPECT_EQ(median_interval(up_to(9), 0.95)->low, 2);
    EXPECT_EQ(median_interval(up_to(9), 0.95)->high, 8);
}

TEST(MedianInterval, MoreConfidenceNeedsMoreValues) {
    EXPECT_FALSE(median_interval(up_to(6), 0.975));
    EXPECT_TRUE(median_interval(up_to(7), 0.975));
    EXPECT_EQ(median_interval(up_to(9), 0.975)->low, 1);
    EXPECT_FALSE(median_interval({}, 0.5));
}

TEST(MedianInterval, ManyValuesDoNotUnderflow) {
    const auto interval = median_interval(up_to(100'001), 0.95);
    ASSERT_TRUE(interval);
    EXPECT_NEAR(interval->low, 50'001 - 310, 2);  // 1.96 * sqrt(n) / 2
    EXPECT_NEAR(interval->high, 50'001 + 310, 2);
}

}  // namespace
}  // namespace layerledger
