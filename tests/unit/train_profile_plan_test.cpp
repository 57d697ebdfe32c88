#include <gtest/gtest.h>

#include <string>

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

TEST(ProfilePlan, WarmUpEndsWithOneOfEachWhereBothCome) {
    const auto text_of = [](const ProfilePlan& plan) {
        std::string text;
        for (std::int64_t i = 0; i < 10; ++i) {
            text += plan.at(i) == Level::off ? 'U' : 'P';
        }
        return text;
    };
    EXPECT_EQ(text_of({.warmup = 4, .overhead_check = true, .rehearse = true}), "PPPUPUUPPU");
    EXPECT_EQ(text_of({.warmup = 4, .every = 6, .rehearse = true}), "PUPUUUPUUU");
    EXPECT_EQ(text_of({.warmup = 4, .every = 6}), "PUUUUUPUUU");
    EXPECT_EQ(text_of({.warmup = 4, .rehearse = true}), "PPPPPPPPPP");
    EXPECT_EQ(text_of({.warmup = 1, .overhead_check = true, .rehearse = true}), "UPUUPPUUPP");
}

TEST(ProfilePlan, AtLevelKernelTwoInSoManyAreWatchedAndAllAreTimedByLayer) {
    const ProfilePlan plan{.level = Level::kernel, .warmup = 3, .kernel_every = 4};
    const std::string expected = "...ws..ws..w";
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const auto iteration = static_cast<std::int64_t>(i);
        const Watch watch = expected[i] == 'w'   ? Watch::warm_up
                            : expected[i] == 's' ? Watch::sampled
                                                 : Watch::none;
        EXPECT_EQ(plan.watch(iteration), watch) << i;
        EXPECT_EQ(plan.at(iteration), Level::layer) << i;
    }
    EXPECT_EQ((ProfilePlan{.level = Level::op, .kernel_every = 4}.watch(0)), Watch::none);
}

TEST(ProfilePlan, AWatchedIterationHasItsMarksWhateverElseIsProfiled) {
    const ProfilePlan rare{.level = Level::kernel, .every = 100, .kernel_every = 4};
    EXPECT_EQ(rare.at(5), Level::layer);
    EXPECT_EQ(rare.at(6), Level::off);
    const ProfilePlan checked{.level = Level::kernel, .overhead_check = true, .kernel_every = 10};
    EXPECT_EQ(checked.at(1), Level::layer) << "the pair's unprofiled one, but watched";
    EXPECT_EQ(checked.at(2), Level::off);
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
