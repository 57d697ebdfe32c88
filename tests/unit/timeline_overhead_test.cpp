#include <gtest/gtest.h>

#include <vector>

#include "layerledger/timeline/overhead.hpp"

namespace layerledger {
namespace {

std::vector<CheckedIteration> pairs(const std::vector<double>& excess, double measurement_us = 0) {
    std::vector<CheckedIteration> iterations;
    for (std::size_t k = 0; k < excess.size(); ++k) {
        const double base_us = 1000.0 + static_cast<double>(k);  // the machine drifts
        const auto pair = static_cast<std::int64_t>(k);
        iterations.push_back({pair, true, base_us * (1 + excess[k]), measurement_us});
        iterations.push_back({pair, false, base_us, 0});
    }
    return iterations;
}

TEST(Overhead, IsTheMedianOfPairRatios) {
    const auto overhead = estimate_overhead(pairs({0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 5.0}));
    ASSERT_TRUE(overhead.has_value());
    EXPECT_NEAR(overhead->percent, 4.0, 1e-9);
    EXPECT_EQ(overhead->pairs, 7);
}

TEST(Overhead, IntervalIsBetweenTheBinomialOrderStatistics) {
    // 20 values: P(X <= 5) = 0.0207 <= 0.025 < P(X <= 6), so the 6th and the 15th value.
    std::vector<double> excess;
    for (int i = 1; i <= 20; ++i) {
        excess.push_back(i / 1000.0);
    }
    const auto overhead = estimate_overhead(pairs(excess));
    EXPECT_NEAR(overhead->low, 0.6, 1e-9);
    EXPECT_NEAR(overhead->high, 1.5, 1e-9);
}

TEST(Overhead, ThousandsOfPairsStillHaveAnInterval) {
    // Normal approximation for n = 5000: ranks 2500 -+ 1.96 * sqrt(5000) / 2, that is 2431 and
    // 2569.
    std::vector<double> excess;
    for (int i = 0; i < 5000; ++i) {
        excess.push_back(i / 100'000.0);
    }
    const auto overhead = estimate_overhead(pairs(excess));
    EXPECT_NEAR(overhead->low, 2.430, 0.003);
    EXPECT_NEAR(overhead->high, 2.569, 0.003);
}

TEST(Overhead, MeasurementIsAddedPerProfiledIteration) {
    const auto overhead = estimate_overhead(pairs({0, 0, 0, 0, 0, 0}, 10.0));
    EXPECT_NEAR(overhead->measurement_percent, 1.0, 0.01);
    EXPECT_NEAR(overhead->percent, 1.0, 0.01);
}

TEST(Overhead, MeasurementCountsWhereverItFalls) {
    // A commit of 40 us every fourth iteration, once on compared iterations, once beside them.
    for (const std::size_t offset : {0U, 1U}) {
        std::vector<CheckedIteration> iterations;
        for (std::size_t i = 0; i < 48; ++i) {
            CheckedIteration one;
            one.profiled = i % 4 < 2;
            one.time_us = 1000;
            one.measurement_us = i % 4 == offset ? 40 : 0;
            if (i % 2 == 1) {
                one.pair = static_cast<std::int64_t>(i / 4);
            }
            iterations.push_back(one);
        }
        EXPECT_NEAR(estimate_overhead(iterations)->measurement_percent, 2.0, 1e-9) << offset;
    }
}

TEST(Overhead, FivePairsGiveNoInterval) {
    EXPECT_FALSE(estimate_overhead(pairs({0, 0, 0, 0, 0})).has_value());
    EXPECT_TRUE(estimate_overhead(pairs({0, 0, 0, 0, 0, 0})).has_value());
}

TEST(Overhead, APairThatMissesOneSideDoesNotCount) {
    auto iterations = pairs({0, 0, 0, 0, 0, 0});
    iterations.push_back({6, true, 9999, 0});
    EXPECT_EQ(estimate_overhead(iterations)->pairs, 6);
}

}  // namespace
}  // namespace layerledger
