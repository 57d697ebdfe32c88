#include "layerledger/comm/communicator.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "layerledger/base/text.hpp"
#include "layerledger/comm/rank_map.hpp"

namespace layerledger {
namespace {

using namespace std::chrono_literals;

TEST(Communicator, OneRankAloneNeedsNoMpi) {
    const Communicator alone;
    EXPECT_EQ(alone.size(), 1);
    EXPECT_TRUE(alone.is_root());
    EXPECT_DOUBLE_EQ(alone.all_reduce_sum(2.5), 2.5);
    EXPECT_EQ(alone.gather(std::string("me")), std::vector<std::string>{"me"});
    EXPECT_TRUE(alone.is_same_on_all_ranks(7));
    EXPECT_EQ(alone.read_clock().bound_ns, 0);
    alone.barrier(1s, "nobody");
}

TEST(Communicator, SumsAndExtremesSpanAllRanks) {
    const Communicator world = Communicator::world();
    const std::int64_t n = world.size();
    EXPECT_EQ(world.all_reduce_sum(std::int64_t{world.rank() + 1}), n * (n + 1) / 2);
    EXPECT_EQ(world.all_reduce_max(world.rank()), n - 1);
    EXPECT_EQ(world.all_reduce_min(world.rank() + 3), 3);
    std::vector<float> values{1.0F, static_cast<float>(world.rank())};
    world.all_reduce_sum(values);
    EXPECT_FLOAT_EQ(values[0], static_cast<float>(n));
    EXPECT_FLOAT_EQ(values[1], static_cast<float>(n * (n - 1) / 2));
}

TEST(Communicator, TextsOfAnyLengthAreGatheredAndBroadcast) {
    const Communicator world = Communicator::world();
    const std::string mine(static_cast<std::size_t>(world.rank() * 3), 'x');
    const std::vector<std::string> all = world.gather(mine);
    if (world.is_root()) {
        ASSERT_EQ(all.size(), static_cast<std::size_t>(world.size()));
        for (std::size_t rank = 0; rank < all.size(); ++rank) {
            EXPECT_EQ(all[rank], std::string(rank * 3, 'x'));
        }
    } else {
        EXPECT_TRUE(all.empty());
    }
    EXPECT_EQ(world.broadcast(world.is_root() ? std::string("from root") : std::string()),
              "from root");
}

TEST(Communicator, SameMeansSameEverywhere) {
    const Communicator world = Communicator::world();
    EXPECT_TRUE(world.is_same_on_all_ranks(0xFFFFFFFFFFFFFFFFULL));
    const auto mine = static_cast<std::uint64_t>(world.rank() == world.size() - 1 ? 1 : 0);
    EXPECT_EQ(world.is_same_on_all_ranks(mine), world.size() == 1);
}

TEST(Communicator, AgreeingToFailReachesAllAndIsSaidOnce) {
    const Communicator world = Communicator::world();
    const int culprit = world.size() - 1;
    bool said_here = false;
    try {
        world.agree([&] {
            if (world.rank() == culprit) {
                throw Error(ExitCode::bad_data, "a bad file");
            }
        });
        ADD_FAILURE() << "nobody noticed";
    } catch (const AgreedError& error) {
        said_here = error.met_here();
        EXPECT_EQ(error.code(), ExitCode::bad_data);
        if (said_here) {
            EXPECT_STREQ(error.what(), "a bad file");
        } else if (world.is_root()) {  // which keeps account of what went wrong
            EXPECT_EQ(error.what(), "rank " + std::to_string(culprit) + ": a bad file");
        }
    }
    EXPECT_EQ(world.all_reduce_sum(std::int64_t{said_here}), 1);
    EXPECT_EQ(said_here, world.rank() == culprit);
}

TEST(Communicator, ForeignExceptionsAreAgreedOnToo) {
    const Communicator world = Communicator::world();
    EXPECT_THROW(world.agree_on_root([] { throw std::runtime_error("odd"); }), AgreedError);
    EXPECT_NO_THROW(world.agree([] {}));
}

TEST(Communicator, ABarrierGivesUpAtItsDeadline) {
    const Communicator world = Communicator::world();
    if (world.size() == 1) {
        GTEST_SKIP() << "one rank cannot be late";
    }
    const Communicator other = world.duplicate();
    const auto wait = [&](std::chrono::nanoseconds deadline) {
        other.barrier(deadline, "the test");
    };
    if (world.rank() == 0) {
        std::this_thread::sleep_for(400ms);
        EXPECT_NO_THROW(wait(30s));
    } else {
        EXPECT_THROW(wait(50ms), Error);
    }
    world.barrier();
}

TEST(Communicator, EveryCallGivesUpAtTheDeadlineOfItsCommunicator) {
    const Communicator world = Communicator::world();
    if (world.size() == 1) {
        GTEST_SKIP() << "one rank cannot be late";
    }
    // A call that was given up leaves its communicator out of step: each gets its own.
    const std::vector<std::function<void(const Communicator&)>> calls{
        [](const Communicator& ranks) { (void)ranks.all_reduce_max(1); },
        [](const Communicator& ranks) {
            std::vector<float> values(1000, 1.0F);
            ranks.all_reduce_sum(values);
        },
        [](const Communicator& ranks) {
            auto values = std::make_shared<std::vector<float>>(1000, 1.0F);
            const std::weak_ptr<std::vector<float>> kept = values;
            const std::span<float> all = *values;
            try {
                ranks.all_reduce_sum_in_place(all, std::move(values));
            } catch (const Error&) {
                EXPECT_FALSE(kept.expired()) << "MPI may still write there";
                throw;
            }
        },
        [](const Communicator& ranks) { (void)ranks.broadcast(std::int64_t{1}); },
        [](const Communicator& ranks) { (void)ranks.gather(std::uint64_t{1}); },
        [](const Communicator& ranks) { (void)ranks.duplicate(); },
        [](const Communicator& ranks) { (void)ranks.node(); },
        [](const Communicator& ranks) { (void)ranks.start_max(1).wait(); },
        [](const Communicator& ranks) { (void)ranks.read_clock(); }};
    for (const auto& call : calls) {
        auto& ranks = *new Communicator(world.duplicate());  // freeing it would meet the late rank
        ranks.set_deadline(20ms);
        if (world.rank() > 0) {
            EXPECT_THROW(call(ranks), Error) << "call " << &call - calls.data();
        }
        world.barrier();
    }
}

TEST(Communicator, SumsInPlaceAndGivesTheMemoryBack) {
    const Communicator world = Communicator::world();
    const auto values =
        std::make_shared<std::vector<float>>(1000, static_cast<float>(world.rank()));
    world.all_reduce_sum_in_place(*values, values);
    const auto n = static_cast<float>(world.size());
    EXPECT_EQ(*values, std::vector<float>(1000, n * (n - 1) / 2));
    EXPECT_EQ(values.use_count(), 1);
}

TEST(Communicator, OneRankHasTheLastWord) {
    const Communicator world = Communicator::world();
    EXPECT_TRUE(Communicator{}.take_last_word());
    std::this_thread::sleep_for(200ms * world.rank());
    EXPECT_EQ(world.all_reduce_sum(std::int64_t{world.take_last_word()}), 1);
}

TEST(Communicator, ARollCallTellsWhoIsThereAndHowTheyAre) {
    using enum Communicator::RollCall;
    const Communicator world = Communicator::world();
    std::vector<int> all(static_cast<std::size_t>(world.size()));
    std::iota(all.begin(), all.end(), 0);
    EXPECT_TRUE(Communicator{}.call_roll(after_a_wait, "alone", all, 1ms).empty());
    const int silent = world.size() - 1;  // and it may be the only one
    if (world.rank() != silent || world.size() == 1) {
        const auto words = world.call_roll(after_a_wait, text("word of ", world.rank()), all, 2s);
        ASSERT_EQ(words.size(), static_cast<std::size_t>(world.size()));
        for (int rank = 0; rank < world.size(); ++rank) {
            const auto& word = words[static_cast<std::size_t>(rank)];
            if (rank == silent && world.size() > 1) {
                EXPECT_FALSE(word);
            } else {
                EXPECT_EQ(word, text("word of ", rank));
            }
        }
    }
    world.barrier();
}

TEST(Communicator, OnlyListenersLearnFromARollCall) {
    const Communicator world = Communicator::world();
    const std::vector<int> last{world.size() - 1};  // rank 0 may be on a node that is lost
    const auto words =
        world.call_roll(Communicator::RollCall::at_the_end, text(world.rank()), last, 1s);
    ASSERT_EQ(words.size(),
              world.rank() == last.front() ? static_cast<std::size_t>(world.size()) : 0U);
    for (std::size_t rank = 0; rank < words.size(); ++rank) {
        EXPECT_EQ(words[rank], text(rank));
    }
    world.barrier();
}

TEST(Communicator, ClocksOfOneNodeAgreeWithinTheirBound) {
    const Communicator world = Communicator::world();
    const ClockReading clock = world.read_clock();
    EXPECT_LE(std::abs(clock.offset_ns), clock.bound_ns);  // one kernel, one clock
    EXPECT_EQ(clock.bound_ns == 0, world.rank() == 0);
}

/// The best of a few readings: on a busy machine a single one may meet other work in every
/// exchange.
ClockReading best_reading(const Communicator& world, const ClockFunction& clock) {
    ClockReading best = world.read_clock(clock);
    for (int again = 0; again < 4; ++again) {
        if (const ClockReading reading = world.read_clock(clock);
            reading.bound_ns < best.bound_ns) {
            best = reading;
        }
    }
    return best;
}

TEST(Communicator, FindsInjectedClockOffsets) {
    const Communicator world = Communicator::world();
    const std::int64_t injected_ns = 10'000'000L * world.rank();
    const ClockReading clock = best_reading(world, [&] { return steady_clock_ns() + injected_ns; });
    EXPECT_LE(std::abs(clock.offset_ns - injected_ns), clock.bound_ns);
    if (world.rank() == 1) {  // deeper in the tree there are more errors to add
        EXPECT_LE(std::abs(clock.offset_ns - injected_ns), 20'000);
    }
}

TEST(Communicator, FindsInjectedClockDriftWithinItsBounds) {
    const Communicator world = Communicator::world();
    const double injected = 400e-6 * world.rank() / world.size();
    const std::int64_t origin_ns = world.broadcast(steady_clock_ns());
    const ClockFunction clock = [&] {
        const std::int64_t now_ns = steady_clock_ns();
        return now_ns +
               static_cast<std::int64_t>(injected * static_cast<double>(now_ns - origin_ns));
    };
    const ClockReading first = best_reading(world, clock);
    ClockReading second;
    double error = 0;  // that the bounds leave to the drift
    // The longer apart the readings are, the better: until no rank's error hides its drift.
    for (int tries = 0; tries < 50; ++tries) {
        std::this_thread::sleep_for(200ms);
        second = best_reading(world, clock);
        error = static_cast<double>(first.bound_ns + second.bound_ns) /
                static_cast<double>(second.time_ns - first.time_ns);
        const bool is_hidden = world.rank() > 0 && error >= injected / 4;
        if (world.all_reduce_sum(static_cast<std::int64_t>(is_hidden)) == 0) {
            break;
        }
    }
    ClockMap map;
    map.add(first);
    map.add(second);
    EXPECT_NEAR(map.drift(), injected, error + 1e-9);
    EXPECT_TRUE(world.rank() == 0 || error < injected / 4) << error;
    // A moment between the two, on this rank's clock and on rank 0's.
    const std::int64_t between_ns = origin_ns + (second.time_ns - origin_ns) / 2;
    const std::int64_t own_ns =
        between_ns +
        static_cast<std::int64_t>(injected * static_cast<double>(between_ns - origin_ns));
    EXPECT_LE(std::abs(map.to_root_ns(own_ns) - between_ns), first.bound_ns + second.bound_ns);
}

TEST(RankMap, LocalRanksCountUpAndCoresAreShared) {
    const Communicator world = Communicator::world();
    const RankMap map = map_rank(world);
    EXPECT_EQ(map.local_size, world.size());
    EXPECT_EQ(map.local_rank, world.rank());
    EXPECT_FALSE(map.host.empty());
    EXPECT_GE(map.cores, 1);
    EXPECT_LE(map.cores * map.local_size,
              std::max(map.local_size, static_cast<int>(std::thread::hardware_concurrency())));
    EXPECT_GT(map.memory_bytes, 0U);
}

TEST(Communicator, FindsAMaximumWhileOtherThingsHappen) {
    const Communicator world = Communicator::world();
    Communicator::PendingMax largest = world.start_max(10 * world.rank());
    EXPECT_EQ(world.all_reduce_sum(std::int64_t{1}), world.size());
    EXPECT_EQ(largest.wait(), 10 * (world.size() - 1));
    { const Communicator::PendingMax unread = world.start_max(1); }
    EXPECT_EQ(Communicator{}.start_max(7).wait(), 7);
}

}  // namespace
}  // namespace layerledger
