// Signs of life: who is silent is told, who only works long is not.
#include "layerledger/comm/heartbeat.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace layerledger {
namespace {

using namespace std::chrono_literals;

/// On a busy machine a thread may be late by much.
constexpr std::chrono::nanoseconds deadline = 2s;

/// One rank's heart, and whom it missed.
struct Heart {
    Heart(const Communicator& world, std::uint64_t word, bool is_at_rest = false)
        : heartbeat(world,
                    {deadline, [=] { return is_at_rest ? std::nullopt : std::optional(word); },
                     [this](const std::vector<Heartbeat::Silent>& found) {
                         silent = found;
                         has_told = true;
                     }}) {}
    void wait() const {
        for (int look = 0; look < 1000 && !has_told; ++look) {
            std::this_thread::sleep_for(20ms);
        }
    }
    std::vector<Heartbeat::Silent> silent;
    std::atomic<bool> has_told{false};
    Heartbeat heartbeat;
};

TEST(Heartbeat, ARankThatWorksLongIsNotMissed) {
    const Communicator world = Communicator::world();
    const Heart heart(world, 1);
    std::this_thread::sleep_for(2 * deadline);  // any rank's main thread, in no call of MPI
    EXPECT_FALSE(heart.has_told);
    world.barrier();
}

TEST(Heartbeat, RankZeroMissesTheSilent) {
    const Communicator world = Communicator::world();
    const int silent = world.size() - 1;
    if (silent > 0 && world.rank() != silent) {
        const Heart heart(world, 7);
        if (world.is_root()) {
            heart.wait();
            ASSERT_EQ(heart.silent.size(), 1U);
            EXPECT_EQ(heart.silent.front().rank, silent);
        } else {
            std::this_thread::sleep_for(deadline);
            EXPECT_FALSE(heart.has_told);
        }
        world.barrier();
    } else {
        world.barrier();
    }
}

TEST(Heartbeat, TheOthersMissRankZeroAndKnowWhatItWasAt) {
    const Communicator world = Communicator::world();
    if (world.is_root()) {
        {
            const Heart heart(world, 42);
            std::this_thread::sleep_for(deadline / 2);
        }
        world.barrier();
    } else {
        const Heart heart(world, 7);
        heart.wait();
        ASSERT_EQ(heart.silent.size(), 1U);
        EXPECT_EQ(heart.silent.front().rank, 0);
        EXPECT_EQ(heart.silent.front().word, 42U);
        world.barrier();
    }
}

TEST(Heartbeat, NobodyIsMissedAtRest) {
    const Communicator world = Communicator::world();
    if (world.is_root()) {
        const Heart heart(world, 1, /*is_at_rest=*/true);
        std::this_thread::sleep_for(2 * deadline);
        EXPECT_FALSE(heart.has_told);
    }
    world.barrier();
}

TEST(Heartbeat, OrdersChangeForAWhile) {
    const Communicator world = Communicator::world();
    Heart heart(world, 1);
    {
        const Heartbeat::Change change(
            heart.heartbeat, {deadline, [] { return std::nullopt; }, [](const auto&) { FAIL(); }});
        if (!world.is_root()) {
            std::this_thread::sleep_for(2 * deadline);
        }
        world.barrier();
    }
    std::this_thread::sleep_for(deadline / 2);
    EXPECT_FALSE(heart.has_told);
    world.barrier();
}

}  // namespace
}  // namespace layerledger
