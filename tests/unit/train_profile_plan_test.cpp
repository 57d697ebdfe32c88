#include <gtest/gtest.h>

#include "layerledger/train/profile_plan.hpp"

namespace layerledger {
namespace {

TEST(ProfilePlan, ProfilesOneIterationInEvery) {
    const ProfilePlan plan{.level = Level::op, .every = 3};
    EXPECT_EQ(plan.at(0), Level::op);
    EXPECT_EQ(plan.at(1), Level::off);
    EXPECT_EQ(plan.at(3), Level::op);
    EXPECT_FALSE(plan.pair(5).has_value());
}

TEST(ProfilePlan, OverheadCheckAlternatesBlocksAndTurnsTheirOrder) {
    const ProfilePlan plan{.level = Level::layer, .warmup = 2, .overhead_check = true};
    const std::string expected = "PPPPUUUUPPPPUU";  // 2 of warm-up, then PP UU | UU PP | PP UU
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(plan.at(static_cast<std::int64_t>(i)) == Level::layer, expected[i] == 'P') << i;
    }
}

TEST(ProfilePlan, OnlyTheSecondIterationOfABlockCounts) {
    const ProfilePlan plan{.warmup = 2, .overhead_check = true};
    EXPECT_FALSE(plan.pair(1).has_value());
    EXPECT_FALSE(plan.pair(2).has_value());
    EXPECT_EQ(plan.pair(3), 0);
    EXPECT_FALSE(plan.pair(4).has_value());
    EXPECT_EQ(plan.pair(5), 0);
    EXPECT_EQ(plan.pair(7), 1);
    EXPECT_EQ(plan.pair(9), 1);
}

}  // namespace
}  // namespace layerledger
