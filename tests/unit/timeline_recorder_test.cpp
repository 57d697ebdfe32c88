#include <gtest/gtest.h>

#include <cmath>

#include "layerledger/timeline/recorder.hpp"
#include "support/manual_clock.hpp"

namespace layerledger {
namespace {

using testing::ManualClock;

TEST(Recorder, WindowsFollowEachOtherWithoutAHole) {
    ManualClock clock;
    Recorder recorder(clock, {1, 0, 0}, 16);
    std::int64_t end_ns = 0;
    for (int i = 0; i < 3; ++i) {
        recorder.begin_iteration(i, Level::layer);
        clock.advance(5'000);
        {
            const auto scope = recorder.layer(LayerId{0}, Phase::forward);
            clock.advance(2'000);
        }
        recorder.end_iteration();
        clock.advance(1'000);  // between iterations: belongs to the next one
        const auto closed = recorder.take_closed();
        ASSERT_TRUE(closed.has_value());
        EXPECT_EQ(closed->iteration, i);
        EXPECT_FLOAT_EQ(closed->account.iteration_time, i == 0 ? 7.0F : 8.0F);
        EXPECT_FLOAT_EQ(closed->account.layer_time[0], 2.0F);
        if (i > 0) {
            EXPECT_EQ(closed->account.start_ns, end_ns);
        }
        end_ns = closed->account.start_ns +
                 static_cast<std::int64_t>(closed->account.iteration_time * 1000);
    }
}

TEST(Recorder, APauseIsInNoWindow) {
    ManualClock clock;
    Recorder recorder(clock, {1, 0, 0}, 16);
    recorder.begin_iteration(0, Level::layer);
    recorder.end_iteration();
    clock.advance(1'000'000);
    recorder.pause_ended();
    recorder.begin_iteration(1, Level::layer);
    clock.advance(3'000);
    recorder.end_iteration();
    (void)recorder.take_closed();
    EXPECT_FLOAT_EQ(recorder.take_closed()->account.iteration_time, 3.0F);
}

TEST(Recorder, ALateSourceIsAskedLate) {
    ManualClock clock(2);
    Recorder recorder(clock, {1, 0, 0}, 16);
    for (int i = 0; i < 5; ++i) {
        recorder.begin_iteration(i, Level::layer);
        const auto closed = recorder.take_closed();
        if (i < 3) {
            EXPECT_FALSE(closed.has_value()) << i;
        } else {
            ASSERT_TRUE(closed.has_value()) << i;
            EXPECT_EQ(closed->iteration, i - 3);
        }
        recorder.end_iteration();
    }
    EXPECT_EQ(recorder.drain()->iteration, 2);
    EXPECT_EQ(recorder.drain()->iteration, 3);
    EXPECT_EQ(recorder.drain()->iteration, 4);
    EXPECT_FALSE(recorder.drain().has_value());
}

TEST(Recorder, LevelsDecideWhatIsMarked) {
    ManualClock clock;
    Recorder recorder(clock, {1, 1, 0}, 16);
    const auto run = [&](Level level) {
        recorder.begin_iteration(0, level);
        {
            const auto a = recorder.activity(Activity::measurement);
            clock.advance(1'000);
        }
        {
            const auto a = recorder.activity(Activity::input_wait);
            clock.advance(1'000);
        }
        {
            const auto l = recorder.layer(LayerId{0}, Phase::forward);
            const auto o = recorder.op(OpId{0}, Phase::forward);
            clock.advance(1'000);
        }
        recorder.end_iteration();
        return recorder.take_closed()->account;
    };
    const auto seen = [](const Account& account) {
        return std::vector<bool>{
            !std::isnan(account.activity_time[index(Activity::measurement)]),
            !std::isnan(account.activity_time[index(Activity::input_wait)]),
            !std::isnan(account.layer_time[0]), !std::isnan(account.op_time[0])};
    };
    EXPECT_EQ(seen(run(Level::off)), (std::vector<bool>{true, false, false, false}));
    EXPECT_EQ(seen(run(Level::iteration)), (std::vector<bool>{true, true, false, false}));
    EXPECT_EQ(seen(run(Level::layer)), (std::vector<bool>{true, true, true, false}));
    EXPECT_EQ(seen(run(Level::op)), (std::vector<bool>{true, true, true, true}));
}

TEST(Recorder, SpansBeyondTheCapacityAreCountedNotForgotten) {
    ManualClock clock;
    Recorder recorder(clock, {1, 0, 0}, 2);
    recorder.begin_iteration(0, Level::layer);
    for (int i = 0; i < 6; ++i) {
        const auto scope = recorder.layer(LayerId{0}, Phase::forward);
    }
    recorder.end_iteration();
    EXPECT_EQ(recorder.dropped(), 4);  // 6 layers and the recorder's own into 3 places
}

TEST(Recorder, AGapInWhichTheProcessorRanSomethingElseIsIdle) {
    ManualClock clock;
    Recorder recorder(clock, {1, 0, 0}, 16);
    const auto idle_us = [&](int iteration, auto between) {
        recorder.begin_iteration(iteration, Level::layer);
        {
            const auto scope = recorder.layer(LayerId{0}, Phase::forward);
            clock.advance(2'000);
        }
        between();
        recorder.end_iteration();
        const Account account = recorder.take_closed()->account;
        return std::pair(account.activity_time[index(Activity::idle_other)], account.unaccounted);
    };
    EXPECT_EQ(idle_us(0, [&] { clock.preempt(40'000); }), std::pair(40.0F, 0.0F));
    // What was known before does not count again.
    EXPECT_EQ(idle_us(1, [&] { clock.advance(5'000); }), std::pair(0.0F, 5.0F));
    clock.preempt(70'000);
    recorder.pause_ended();
    EXPECT_EQ(idle_us(2, [&] { clock.advance(5'000); }), std::pair(0.0F, 5.0F));
}

}  // namespace
}  // namespace layerledger
