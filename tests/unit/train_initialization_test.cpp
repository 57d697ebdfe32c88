#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "layerledger/train/initialization.hpp"

namespace layerledger {
namespace {

Parameter weight(bool rectified) {
    return {.id = ParameterId{4},
            .op = OpId{1},
            .name = "conv/weight",
            .role = ParameterRole::weight,
            .dims = {100, 200},
            .fan_in = 200,
            .fan_out = 100,
            .rectified = rectified};
}

double variance(const std::vector<float>& values) {
    return std::inner_product(values.begin(), values.end(), values.begin(), 0.0) /
           static_cast<double>(values.size());
}

TEST(Initialization, HeKeepsTheVarianceThroughARectifier) {
    const std::vector<float> values = initial_values(weight(true), 7);
    EXPECT_NEAR(variance(values), 2.0 / 200, 0.0003);  // 20,000 draws: 2 % is four sigma
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const double limit = std::sqrt(6.0 / 200);
    EXPECT_GE(*low, -limit);
    EXPECT_LE(*high, limit);
    EXPECT_NEAR(std::accumulate(values.begin(), values.end(), 0.0) / 20'000, 0.0, 0.003);
}

TEST(Initialization, XavierUsesBothFans) {
    EXPECT_NEAR(variance(initial_values(weight(false), 7)), 2.0 / 300, 0.0002);
}

TEST(Initialization, DependsOnSeedAndParameterOnly) {
    EXPECT_EQ(initial_values(weight(true), 7), initial_values(weight(true), 7));
    EXPECT_NE(initial_values(weight(true), 7), initial_values(weight(true), 8));
    Parameter other = weight(true);
    other.id = ParameterId{5};
    EXPECT_NE(initial_values(weight(true), 7), initial_values(other, 7));
}

TEST(Initialization, BiasesAreZeroAndScalesOne) {
    Parameter bias = weight(false);
    bias.role = ParameterRole::bias;
    bias.dims = {3};
    EXPECT_EQ(initial_values(bias, 7), (std::vector<float>{0, 0, 0}));
    bias.role = ParameterRole::scale;
    EXPECT_EQ(initial_values(bias, 7), (std::vector<float>{1, 1, 1}));
}

}  // namespace
}  // namespace layerledger
