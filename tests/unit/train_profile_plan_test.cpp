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

TEST(ProfilePlan, OverheadCheckAlternatesAndTurnsTheOrder) {
    const ProfilePlan plan{.level = Level::layer, .warmup = 2, .overhead_check = true};
    const std::string expected = "PPPUUPPUUP";  // 2 of warm-up, then PU | UP | PU | UP
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(plan.at(static_cast<std::int64_t>(i)) == Level::layer, expected[i] == 'P') << i;
    }
}

TEST(ProfilePlan, NeighboursMakeAPair) {
    const ProfilePlan plan{.warmup = 2, .overhead_check = true};
    EXPECT_FALSE(plan.pair(1).has_value());
    EXPECT_EQ(plan.pair(2), 0);
    EXPECT_EQ(plan.pair(3), 0);
    EXPECT_EQ(plan.pair(4), 1);
    EXPECT_EQ(plan.pair(9), 3);
}

}  // namespace
}  // namespace layerledger
