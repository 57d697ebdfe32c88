#include <gtest/gtest.h>

#include "layerledger/train/learning_rate.hpp"

namespace layerledger {
namespace {

TEST(LearningRate, ConstantStays) {
    const LearningRateSchedule schedule{.base = 0.3};
    EXPECT_DOUBLE_EQ(schedule.at(0), 0.3);
    EXPECT_DOUBLE_EQ(schedule.at(1'000'000), 0.3);
}

TEST(LearningRate, StepFallsAtMultiplesOfItsLength) {
    const LearningRateSchedule schedule{
        .decay = DecayKind::step, .base = 1.0, .step_factor = 0.1, .step_length = 10};
    EXPECT_DOUBLE_EQ(schedule.at(9), 1.0);
    EXPECT_DOUBLE_EQ(schedule.at(10), 0.1);
    EXPECT_NEAR(schedule.at(25), 0.01, 1e-15);
}

TEST(LearningRate, CosineEndsAtZeroAndIsHalfwayInTheMiddle) {
    const LearningRateSchedule schedule{
        .decay = DecayKind::cosine, .base = 2.0, .warmup = 20, .total = 120};
    EXPECT_DOUBLE_EQ(schedule.at(20), 2.0);
    EXPECT_NEAR(schedule.at(70), 1.0, 1e-12);
    EXPECT_NEAR(schedule.at(120), 0.0, 1e-12);
}

TEST(LearningRate, WarmupRisesLinearlyToTheBase) {
    const LearningRateSchedule schedule{.base = 1.0, .warmup = 4};
    EXPECT_DOUBLE_EQ(schedule.at(0), 0.2);
    EXPECT_DOUBLE_EQ(schedule.at(3), 0.8);
    EXPECT_DOUBLE_EQ(schedule.at(4), 1.0);
}

}  // namespace
}  // namespace layerledger
