#include "layerledger/comm/clock_map.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace layerledger {
namespace {

TEST(ClockMap, WithoutAReadingIsRank0sClock) {
    EXPECT_EQ(ClockMap{}.to_root_ns(42), 42);
    EXPECT_TRUE(std::isnan(ClockMap{}.drift()));
}

TEST(ClockMap, WithOneReadingTakesItsOffsetEverywhere) {
    ClockMap map;
    map.add({1'000'000, 10'000'000, 5});
    EXPECT_EQ(map.to_root_ns(10'500'000), 500'000);
    EXPECT_EQ(map.to_root_ns(13'000'000), 3'000'000);
    EXPECT_TRUE(std::isnan(map.drift()));
}

TEST(ClockMap, BetweenReadingsTheOffsetChangesEvenly) {
    ClockMap map;
    map.add({0, 1'000, 0});
    map.add({1'000'000, 3'000, 0});
    map.add({2'000'000, 3'000, 0});
    EXPECT_EQ(map.to_root_ns(1'000), 0);
    EXPECT_EQ(map.to_root_ns(502'000), 500'000);
    EXPECT_EQ(map.to_root_ns(1'003'000), 1'000'000);
    EXPECT_EQ(map.to_root_ns(1'503'000), 1'500'000);
    EXPECT_DOUBLE_EQ(map.drift(), 0);
}

TEST(ClockMap, AfterTheLastReadingTheOffsetGrowsOnAndBeforeTheFirstItStays) {
    ClockMap map;
    map.add({1'000'000, 1'000, 0});
    map.add({2'000'000, 2'000, 0});
    EXPECT_DOUBLE_EQ(map.drift(), 1e-3);
    EXPECT_EQ(map.to_root_ns(3'003'000), 3'000'000);
    EXPECT_EQ(map.to_root_ns(501'000), 500'000);
}

}  // namespace
}  // namespace layerledger
