#include <gtest/gtest.h>

#include "layerledger/timeline/intervals.hpp"

namespace layerledger {
namespace {

using Set = std::vector<Interval>;

TEST(Intervals, UnionMergesOverlapsAndNeighboursAndDropsEmptyOnes) {
    EXPECT_EQ(united({{5, 9}, {0, 2}, {2, 3}, {4, 4}, {8, 12}, {20, 15}}),
              (Set{{0, 3}, {5, 12}}));
}

TEST(Intervals, IntersectionKeepsWhatIsInBoth) {
    EXPECT_EQ(intersection(Set{{0, 10}, {20, 30}}, Set{{5, 22}, {25, 26}, {29, 40}}),
              (Set{{5, 10}, {20, 22}, {25, 26}, {29, 30}}));
    EXPECT_TRUE(intersection(Set{{0, 5}}, Set{{5, 9}}).empty());
}

TEST(Intervals, DifferenceCutsHolesOut) {
    EXPECT_EQ(difference(Set{{0, 10}, {20, 30}, {40, 50}}, Set{{2, 3}, {5, 6}, {9, 25}, {40, 50}}),
              (Set{{0, 2}, {3, 5}, {6, 9}, {25, 30}}));
}

TEST(Intervals, OneHoleMayCutSeveralIntervals) {
    EXPECT_EQ(difference(Set{{0, 4}, {6, 10}}, Set{{2, 8}}), (Set{{0, 2}, {8, 10}}));
}

TEST(Intervals, LengthIsTheSum) { EXPECT_EQ(total_length(Set{{0, 3}, {5, 12}}), 10); }

}  // namespace
}  // namespace layerledger
