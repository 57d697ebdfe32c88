#include <gtest/gtest.h>

#include <cmath>

#include "layerledger/timeline/ledger.hpp"
#include "record/milestones.hpp"

namespace layerledger {
namespace {

constexpr float second = 1e6F;

/// Iterations of two ranks and one layer: rank 0 takes 2 s an iteration, 1 s in the layer and 0.5 s
/// missing, rank 1 the double of each.
IterationBlock block_of(std::uint64_t rows) {
    IterationBlock block;
    block.rows = rows;
    block.ranks = 2;
    block.layers = 1;
    for (std::uint64_t row = 0; row < rows; ++row) {
        for (const float times : {1.0F, 2.0F}) {
            block.iteration_time.push_back(2 * times * second);
            block.unaccounted.push_back(0.5F * times * second);
            block.layer_time.insert(block.layer_time.end(),
                                    {0.25F * times * second, 0.75F * times * second, absent});
        }
    }
    return block;
}

TEST(Milestones, SumUpMeansOverRanks) {
    Milestones milestones(8);
    milestones.add(block_of(3));  // blocks need not end at a milestone
    milestones.add(block_of(5));
    for (std::size_t i = 0; i < 4; ++i) {
        const Milestone& at = milestones.values().at(i);
        const double iterations = 2.0 * static_cast<double>(i + 1);
        EXPECT_DOUBLE_EQ(at.time_s, 3 * iterations);
        EXPECT_DOUBLE_EQ(at.profiled_s, 3 * iterations);
        EXPECT_DOUBLE_EQ(at.layers_s, 1.5 * iterations);
        EXPECT_DOUBLE_EQ(at.missing_s, 0.75 * iterations);
        EXPECT_DOUBLE_EQ(at.accounted_s, 2.25 * iterations);
        EXPECT_DOUBLE_EQ(at.missing_percent, 25);
    }
}

TEST(Milestones, AQuarterIsRoundedUp) {
    Milestones milestones(5);
    milestones.add(block_of(5));
    EXPECT_DOUBLE_EQ(milestones.values()[0].time_s, 3 * 2);  // 1.25
    EXPECT_DOUBLE_EQ(milestones.values()[1].time_s, 3 * 3);  // 2.5
    EXPECT_DOUBLE_EQ(milestones.values()[2].time_s, 3 * 4);  // 3.75
    EXPECT_DOUBLE_EQ(milestones.values()[3].time_s, 3 * 5);
}

TEST(Milestones, OneIterationIsAllOfThem) {
    Milestones milestones(1);
    milestones.add(block_of(1));
    for (const Milestone& milestone : milestones.values()) {
        EXPECT_DOUBLE_EQ(milestone.time_s, 3);
    }
}

TEST(Milestones, WithoutIterationsThereIsNothing) {
    const Milestones milestones(0);
    EXPECT_TRUE(std::isnan(milestones.values()[3].time_s));
}

TEST(Milestones, SumsOfTheAccountAreOfProfiledIterations) {
    IterationBlock block = block_of(4);
    for (const std::size_t at : {4U, 5U}) {  // iteration 2
        block.unaccounted[at] = absent;
        block.layer_time[at * 3] = block.layer_time[at * 3 + 1] = absent;
    }
    Milestones milestones(4);
    milestones.add(block);
    EXPECT_DOUBLE_EQ(milestones.values()[1].missing_s, 0.75 * 2);
    EXPECT_DOUBLE_EQ(milestones.values()[2].time_s, 3 * 3);
    EXPECT_DOUBLE_EQ(milestones.values()[2].profiled_s, 3 * 2);
    EXPECT_DOUBLE_EQ(milestones.values()[2].missing_s, 0.75 * 2);
    EXPECT_DOUBLE_EQ(milestones.values()[3].time_s, 3 * 4);
    EXPECT_DOUBLE_EQ(milestones.values()[3].profiled_s, 3 * 3);
    EXPECT_DOUBLE_EQ(milestones.values()[3].layers_s, 1.5 * 3);
    EXPECT_DOUBLE_EQ(milestones.values()[3].accounted_s, 2.25 * 3);
    EXPECT_DOUBLE_EQ(milestones.values()[3].missing_percent, 25);
}

TEST(Milestones, WithoutProfilingThereIsNoAccount) {
    IterationBlock block = block_of(4);
    block.unaccounted.assign(8, absent);
    Milestones milestones(4);
    milestones.add(block);
    EXPECT_DOUBLE_EQ(milestones.values()[3].time_s, 3 * 4);
    EXPECT_TRUE(std::isnan(milestones.values()[3].profiled_s));
    EXPECT_TRUE(std::isnan(milestones.values()[3].missing_s));
}

}  // namespace
}  // namespace layerledger
