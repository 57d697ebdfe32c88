#include "watchdog.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <future>

namespace layerledger {
namespace {

using namespace std::chrono_literals;

/// What a watchdog is told and does.
struct Scene {
    std::atomic<std::uint64_t> pulse{1};
    std::atomic<bool> may_take_its_time{false};
    std::promise<std::chrono::nanoseconds> stuck;
    std::future<std::chrono::nanoseconds> is_stuck = stuck.get_future();

    Watchdog::Orders orders() {
        return {.deadline = 100ms,
                .pulse = [this]() -> std::optional<std::uint64_t> {
                    return may_take_its_time ? std::nullopt : std::optional(pulse.load());
                },
                .when_stuck = [this](std::chrono::nanoseconds time) { stuck.set_value(time); },
                .when_told_to_end = [](int signal) { std::fprintf(stderr, "told %d\n", signal); }};
    }
};

TEST(WatchdogTest, SeesThatTrainingDoesNotGoOn) {
    Scene scene;
    Watchdog watchdog(scene.orders());
    ASSERT_EQ(scene.is_stuck.wait_for(30s), std::future_status::ready);
    EXPECT_GT(scene.is_stuck.get(), 100ms);
    EXPECT_FALSE(watchdog.take_word());
}

TEST(WatchdogTest, LeavesTrainingAloneThatGoesOnOrMayTakeItsTime) {
    Scene scene;
    Watchdog watchdog(scene.orders());
    for (int i = 0; i < 100; ++i) {
        ++scene.pulse;
        std::this_thread::sleep_for(10ms);
    }
    scene.may_take_its_time = true;
    EXPECT_EQ(scene.is_stuck.wait_for(1s), std::future_status::timeout);
    EXPECT_TRUE(watchdog.take_word());
}

TEST(WatchdogTest, SaysNothingOnceTrainingHasTheWord) {
    Scene scene;
    Watchdog watchdog(scene.orders());
    EXPECT_TRUE(watchdog.take_word());
    EXPECT_EQ(scene.is_stuck.wait_for(1s), std::future_status::timeout);
}

TEST(WatchdogTest, EndsAsTheSignalWouldHaveAfterItsOrders) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        {
            Scene scene;
            const Watchdog watchdog(scene.orders());
            std::raise(SIGTERM);
            std::this_thread::sleep_for(30s);
        },
        testing::KilledBySignal(SIGTERM), "told 15");
}

// A launcher ends the others a second after a rank is lost; to learn who it is may take longer.
TEST(WatchdogTest, EndsInGoodOrderWhileTrainingStillLooksForItsWord) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        {
            Scene scene;
            Watchdog watchdog(scene.orders());
            static_cast<void>(watchdog.take_word());
            std::raise(SIGTERM);
            std::this_thread::sleep_for(30s);
        },
        testing::KilledBySignal(SIGTERM), "told 15");
    EXPECT_EXIT(
        {
            Scene scene;
            Watchdog watchdog(scene.orders());
            static_cast<void>(watchdog.take_word());
            watchdog.word_is_out();
            std::raise(SIGTERM);
            std::this_thread::sleep_for(30s);
        },
        testing::KilledBySignal(SIGTERM), "^$");
}

TEST(WatchdogTest, SignalsDoAfterwardsWhatTheyDidBefore) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        {
            Scene scene;
            { const Watchdog watchdog(scene.orders()); }
            std::raise(SIGINT);
        },
        testing::KilledBySignal(SIGINT), "^$");
}

TEST(WatchdogTest, ASignalThatIsIgnoredStaysSo) {
    const auto before = std::signal(SIGHUP, SIG_IGN);
    Scene scene;
    Watchdog watchdog(scene.orders());
    std::raise(SIGHUP);
    EXPECT_TRUE(watchdog.take_word());
    std::signal(SIGHUP, before);
}

}  // namespace
}  // namespace layerledger
