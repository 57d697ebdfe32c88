#include "layerledger/timeline/stragglers.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace layerledger {
namespace {

constexpr std::size_t ranks = 4;
constexpr std::size_t layers = 8;
constexpr std::size_t phases_of_layer = 3;
constexpr std::uint64_t first_seed = 51'515'151;

/// Iterations with the noise of real ones: a factor of the iteration that all ranks share, one of
/// each rank's own, one of each span; small lasting differences between ranks; and now and then a
/// span that an interrupt stretches.
class Timelines {
public:
    explicit Timelines(std::uint64_t seed) : random_(seed) {
        for (std::size_t i = 0; i < ranks * layers * phases_of_layer; ++i) {
            lasting_.push_back(1 + 0.004 * normal_(random_));
        }
    }

    /// Percent more in one span of one rank.
    void slow_down(std::size_t rank, std::size_t layer, std::size_t phase, double percent) {
        lasting_.at((rank * layers + layer) * phases_of_layer + phase) *= 1 + percent / 100;
    }

    void add_to(StragglerSearch& search, std::int64_t iteration) {
        std::vector<float> times(ranks * search.columns(), absent);
        const double shared = std::exp(0.02 * normal_(random_));
        for (std::size_t rank = 0; rank < ranks; ++rank) {
            const double of_rank = std::exp(0.004 * normal_(random_));
            for (std::size_t span = 0; span < layers * phases_of_layer; ++span) {
                const double usual_us = 20.0 * static_cast<double>(1 + span % 7);
                double time_us = usual_us * shared * of_rank * std::exp(0.012 * normal_(random_)) *
                                 lasting_[rank * layers * phases_of_layer + span];
                if (even_(random_) < 0.02) {
                    time_us *= 1.1 + 2 * even_(random_);
                }
                times[rank * search.columns() + span] = static_cast<float>(time_us);
            }
            for (std::size_t cause = 0; cause < 4; ++cause) {
                times[rank * search.columns() + layers * phases_of_layer + cause] =
                    static_cast<float>(5 * std::exp(0.3 * normal_(random_)));
            }
        }
        search.add(iteration, times, {});
    }

private:
    std::mt19937_64 random_;
    std::normal_distribution<double> normal_;
    std::uniform_real_distribution<double> even_;
    std::vector<double> lasting_;
};

TEST(StragglerSearch, NamesFivePercentOnOneLayerWithinTwentyIterations) {
    int named = 0;
    int others = 0;
    for (std::uint64_t trial = 0; trial < 100; ++trial) {
        Timelines timelines(first_seed + trial);
        const std::size_t rank = trial % ranks;
        const std::size_t layer = trial % layers;
        const std::size_t phase = trial % phases_of_layer;
        timelines.slow_down(rank, layer, phase, 5);
        StragglerSearch search(ranks, layers);
        for (std::int64_t iteration = 0; iteration < 20; ++iteration) {
            timelines.add_to(search, iteration);
        }
        for (const Straggler& found : search.stragglers()) {
            const bool is_right = found.rank == static_cast<std::int64_t>(rank) &&
                                  found.layer == static_cast<std::int64_t>(layer) &&
                                  found.phase == static_cast<std::int64_t>(phase);
            ++(is_right ? named : others);
        }
    }
    EXPECT_GE(named, 99);
    EXPECT_EQ(others, 0);
}

TEST(StragglerSearch, BlamesNobodyInTenThousandCleanIterations) {
    StragglerSearch search(ranks, layers);
    Timelines timelines(first_seed + 1000);
    for (std::int64_t iteration = 0; iteration < 10'000; ++iteration) {
        timelines.add_to(search, iteration);
    }
    EXPECT_TRUE(search.stragglers().empty());
    EXPECT_EQ(search.late().size(), 10'000U);
}

/// One iteration in which every span takes 100 us.
std::vector<float> even_times(const StragglerSearch& search) {
    return std::vector<float>(ranks * search.columns(), 100.0F);
}

TEST(StragglerSearch, RecoversASkewOfArrivalAndWhatMadeIt) {
    StragglerSearch search(ranks, layers);
    std::vector<float> times = even_times(search);
    const std::size_t layer = 5;
    times[2 * search.columns() + layer * phases_of_layer + 1] += 900;
    search.add(7, times, std::vector<double>{10'003, 10'010, 11'005, 10'005});
    ASSERT_EQ(search.late().size(), 1U);
    const LateIteration& late = search.late().front();
    EXPECT_EQ(late.iteration, 7);
    EXPECT_EQ(late.rank, 2);
    EXPECT_NEAR(late.late_us, 1000, 1e-3);
    EXPECT_EQ(late.layer, 5);
    EXPECT_EQ(late.phase, 1);
    EXPECT_EQ(late.cause, static_cast<std::int64_t>(LateCause::compute));
}

TEST(StragglerSearch, MeasuresLatenessFromTheMedianOfTheOtherRanks) {
    const auto late_of = [](const std::vector<double>& arrivals_us) {
        StragglerSearch search(arrivals_us.size(), 1);
        const std::vector<float> times(arrivals_us.size() * search.columns(), 100.0F);
        search.add(0, times, arrivals_us);
        return search.late().front();
    };
    EXPECT_EQ(late_of({0, 30}).rank, 1);
    EXPECT_NEAR(late_of({0, 30}).late_us, 30, 1e-3);
    EXPECT_NEAR(late_of({30, 0}).late_us, 30, 1e-3);
    EXPECT_NEAR(late_of({10, 30, 0}).late_us, 25, 1e-3);       // of 0 and 10
    EXPECT_NEAR(late_of({10, 30, 0, 2}).late_us, 28, 1e-3);    // of 0, 2 and 10
    EXPECT_NEAR(late_of({7, 7, 30, 7, 1}).late_us, 23, 1e-3);  // of 1, 7, 7 and 7
    EXPECT_NEAR(late_of({5, 5, 5, 5, 5, 5}).late_us, 0, 1e-3);
}

TEST(StragglerSearch, WithoutClocksTellsTheLastByItsWorkAndNotByHowMuch) {
    StragglerSearch search(ranks, layers);
    std::vector<float> times = even_times(search);
    times[1 * search.columns() + layers * phases_of_layer] += 50;  // waits for input
    search.add(0, times, {});
    EXPECT_EQ(search.late().front().rank, 1);
    EXPECT_TRUE(std::isnan(search.late().front().late_us));
    EXPECT_EQ(search.late().front().layer, -1);
    EXPECT_EQ(search.late().front().cause, static_cast<std::int64_t>(LateCause::input));
}

TEST(StragglerSearch, AnUpdateDelaysTheIterationAfterIt) {
    StragglerSearch search(ranks, layers);
    std::vector<float> times = even_times(search);
    times[3 * search.columns() + 2] += 50;
    search.add(0, even_times(search), {});
    search.add(1, times, {});
    search.add(2, even_times(search), {});
    EXPECT_EQ(search.late()[2].rank, 3);
    EXPECT_EQ(search.late()[2].layer, 0);
    EXPECT_EQ(search.late()[2].phase, 2);
}

TEST(StragglerSearch, BlamesASlowRankAsAWholeAndNotItsLayers) {
    // As a shared processor does: each layer is slowed by another share.
    int whole = 0;
    int others = 0;
    for (std::uint64_t trial = 0; trial < 100; ++trial) {
        Timelines timelines(first_seed + trial);
        std::mt19937_64 random(trial);
        std::uniform_real_distribution<double> percent(10, 40);
        const std::size_t rank = trial % ranks;
        for (std::size_t span = 0; span < layers * phases_of_layer; ++span) {
            timelines.slow_down(rank, span / phases_of_layer, span % phases_of_layer,
                                percent(random));
        }
        StragglerSearch search(ranks, layers);
        for (std::int64_t iteration = 0; iteration < 20; ++iteration) {
            timelines.add_to(search, iteration);
        }
        for (const Straggler& found : search.stragglers()) {
            const bool is_whole = found.rank == static_cast<std::int64_t>(rank) &&
                                  found.layer == -1 && found.phase == -1 &&
                                  found.cause == static_cast<std::int64_t>(LateCause::compute);
            ++(is_whole ? whole : others);
        }
    }
    EXPECT_EQ(whole, 100);
    EXPECT_EQ(others, 0);
}

TEST(StragglerSearch, NamesALayerBesidesASlowRankOnlyWhereItStandsOut) {
    const auto found = [](float of_layer) {
        StragglerSearch search(ranks, layers);
        for (std::int64_t iteration = 0; iteration < 20; ++iteration) {
            std::vector<float> times = even_times(search);
            for (std::size_t span = 0; span < layers * phases_of_layer; ++span) {
                times[search.columns() + span] = 110;
            }
            times[search.columns() + 4] = of_layer;
            search.add(iteration, times, {});
        }
        return search.stragglers();
    };
    const auto alike = found(130);
    ASSERT_EQ(alike.size(), 1U);
    EXPECT_EQ(alike[0].layer, -1);
    EXPECT_NEAR(alike[0].percent, 100 * (23 * 10 + 30) / 2400.0, 1e-3);
    const auto apart = found(190);
    ASSERT_EQ(apart.size(), 2U);
    EXPECT_EQ(apart[0].layer, -1);
    EXPECT_EQ(apart[1].layer, 1);
    EXPECT_EQ(apart[1].phase, 1);
    EXPECT_NEAR(apart[1].percent, 90, 1e-3);
}

TEST(StragglerSearch, SaysFromWhatOnADelayIsNamed) {
    const std::size_t span = 10;
    const auto named = [&](double percent, std::uint64_t seed) {
        Timelines timelines(seed);
        timelines.slow_down(1, span / phases_of_layer, span % phases_of_layer, percent);
        StragglerSearch search(ranks, layers);
        for (std::int64_t iteration = 0; iteration < 20; ++iteration) {
            timelines.add_to(search, iteration);
        }
        return !search.stragglers().empty();
    };
    EXPECT_TRUE(StragglerSearch(ranks, layers).sensitivity().empty());
    StragglerSearch clean(ranks, layers);
    Timelines timelines(first_seed);
    for (std::int64_t iteration = 0; iteration < 2000; ++iteration) {
        timelines.add_to(clean, iteration);
    }
    const std::vector<Sensitivity> sensitivity = clean.sensitivity();
    ASSERT_EQ(sensitivity.size(), layers * phases_of_layer);
    EXPECT_EQ(sensitivity[span].iteration, 3);
    EXPECT_EQ(sensitivity[span].phase, 1);
    int above = 0;
    int below = 0;
    for (std::uint64_t trial = 0; trial < 100; ++trial) {
        above += static_cast<int>(named(sensitivity[span].percent + 2, first_seed + trial));
        below += static_cast<int>(named(sensitivity[span].percent - 2, first_seed + trial));
    }
    EXPECT_GE(above, 95);
    EXPECT_LE(below, 5);
}

TEST(StragglerSearch, HidesNothingWhereThereIsNoNoise) {
    StragglerSearch search(ranks, layers);
    for (std::int64_t iteration = 0; iteration < 20; ++iteration) {
        std::vector<float> times = even_times(search);
        for (std::size_t rank = 0; rank < ranks; ++rank) {
            times[rank * search.columns() + 2] = absent;  // a layer without an update
        }
        search.add(iteration, times, {});
    }
    const std::vector<Sensitivity> sensitivity = search.sensitivity();
    EXPECT_NEAR(sensitivity[0].percent, 1.5, 1e-3);
    EXPECT_TRUE(std::isnan(sensitivity[2].percent));
}

TEST(StragglerSearch, TellsWhatIsAlwaysThereFromSpellsAndFromChance) {
    const auto found = [](auto is_slow) {
        StragglerSearch search(ranks, layers);
        for (std::int64_t iteration = 0; iteration < 400; ++iteration) {
            std::vector<float> times = even_times(search);
            if (is_slow(iteration / 20)) {
                times[search.columns() + 4] += 30;
            }
            search.add(iteration, times, {});
        }
        return search.stragglers();
    };
    const auto always = found([](std::int64_t) { return true; });
    ASSERT_EQ(always.size(), 1U);
    EXPECT_EQ(always[0].persistence, static_cast<std::int64_t>(Persistence::always));
    EXPECT_NEAR(always[0].percent, 30, 1e-3);
    EXPECT_NEAR(always[0].excess_us, 30, 1e-3);
    EXPECT_EQ(always[0].windows, 20);
    const auto spells = found([](std::int64_t window) { return window % 10 < 4; });
    ASSERT_EQ(spells.size(), 1U);
    EXPECT_EQ(spells[0].persistence, static_cast<std::int64_t>(Persistence::spells));
    const auto random = found([](std::int64_t window) { return window % 5 == 2; });
    ASSERT_EQ(random.size(), 1U);
    EXPECT_EQ(random[0].persistence, static_cast<std::int64_t>(Persistence::random));
    EXPECT_EQ(random[0].iteration, 40);
}

TEST(StragglerSearch, DoesNotTellWhatOneOfVeryManyWindowsShows) {
    const auto found_in = [](std::int64_t slow_windows, std::int64_t all_windows) {
        StragglerSearch search(ranks, layers);
        for (std::int64_t iteration = 0; iteration < 20 * all_windows; ++iteration) {
            std::vector<float> times = even_times(search);
            if (iteration < 20 * slow_windows) {
                times[search.columns() + 4] += 30;
            }
            search.add(iteration, times, {});
        }
        return search.stragglers().size();
    };
    EXPECT_EQ(found_in(1, 100), 1U);
    EXPECT_EQ(found_in(1, 101), 0U);
    EXPECT_EQ(found_in(2, 101), 1U);
}

}  // namespace
}  // namespace layerledger
