#include <gtest/gtest.h>

#include <cmath>
#include <functional>

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
        (void)recorder.begin_iteration(i, Level::layer);
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
    (void)recorder.begin_iteration(0, Level::layer);
    recorder.end_iteration();
    clock.advance(1'000'000);
    recorder.pause_ended();
    (void)recorder.begin_iteration(1, Level::layer);
    clock.advance(3'000);
    recorder.end_iteration();
    (void)recorder.take_closed();
    EXPECT_FLOAT_EQ(recorder.take_closed()->account.iteration_time, 3.0F);
}

TEST(Recorder, ALateSourceIsAskedLate) {
    ManualClock clock(2);
    Recorder recorder(clock, {1, 0, 0}, 16);
    for (int i = 0; i < 5; ++i) {
        (void)recorder.begin_iteration(i, Level::layer);
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

TEST(Recorder, WhatItDoesAtTheBeginningIsMeasurement) {
    for (const Level level : {Level::off, Level::layer}) {
        ManualClock clock;
        Recorder recorder(clock, {1, 0, 0}, 16);
        (void)recorder.begin_iteration(0, level);
        recorder.end_iteration();
        clock.advance(1'000);  // before the next one begins: nobody's
        {
            const auto measuring = recorder.begin_iteration(1, level);
            clock.advance(2'000);
        }
        recorder.end_iteration();
        (void)recorder.take_closed();
        const Account account = recorder.take_closed()->account;
        EXPECT_FLOAT_EQ(account.iteration_time, 3.0F);
        EXPECT_FLOAT_EQ(account.activity_time[index(Activity::measurement)], 2.0F);
        if (level == Level::layer) {
            EXPECT_FLOAT_EQ(account.unaccounted, 1.0F);
        }
    }
}

TEST(Recorder, ALaunchBeginsWhereItsLayerEndsAtEveryLevel) {
    for (const Level level : {Level::iteration, Level::layer}) {
        ManualClock clock;
        Recorder recorder(clock, {1, 0, 0}, 16);
        (void)recorder.begin_iteration(0, level);
        {
            const auto layer = recorder.layer(LayerId{0}, Phase::backward);
            clock.advance(5'000);
        }
        const Mark ready = recorder.bucket_ready();
        clock.advance(70);  // a way to the launch
        {
            const auto launching = recorder.launch(ready);
            clock.advance(30);
        }
        recorder.end_iteration();
        const Account account = recorder.take_closed()->account;
        EXPECT_FLOAT_EQ(account.activity_time[index(Activity::idle_launch)], 0.1F);
        if (level == Level::layer) {
            EXPECT_FLOAT_EQ(account.layer_time[index(Phase::backward)], 5.0F);
            EXPECT_FLOAT_EQ(account.unaccounted, 0.0F);
        }
    }
}

// An unprofiled iteration pays for none, also where its slot served a profiled one before.
TEST(Recorder, TimesOfBucketsAreWantedWhereIterationsAreProfiled) {
    ManualClock clock;
    Recorder recorder(clock, {1, 0, 1}, 16);
    int i = 0;
    for (const Level level : {Level::iteration, Level::off, Level::layer, Level::off, Level::off}) {
        (void)recorder.begin_iteration(i++, level);
        BucketSpan& span = recorder.bucket(BucketId{0});
        EXPECT_EQ(span.is_wanted, level != Level::off);
        EXPECT_EQ(span.start, 0);
        if (span.is_wanted) {
            span.ready = span.start = span.transfer = clock.mark();
            clock.advance(2'000);
            span.end = clock.mark();
        }
        recorder.end_iteration();
        const auto closed = recorder.take_closed();
        ASSERT_TRUE(closed.has_value());
        EXPECT_EQ(std::isnan(closed->account.bucket_end[0]), level == Level::off);
    }
}

// Where layers are not marked, what lies between two launches is not launching.
TEST(Recorder, LaunchesAloneMakeNoPass) {
    ManualClock clock;
    Recorder recorder(clock, {1, 0, 0}, 16);
    (void)recorder.begin_iteration(0, Level::iteration);
    for (int i = 0; i < 2; ++i) {
        clock.advance(5'000);
        const auto layer = recorder.layer(LayerId{0}, Phase::backward);
        const auto scope = recorder.launch(recorder.bucket_ready());
        clock.advance(100);
    }
    recorder.end_iteration();
    EXPECT_FLOAT_EQ(recorder.take_closed()->account.activity_time[index(Activity::idle_launch)],
                    0.2F);
}

TEST(Recorder, LevelsDecideWhatIsMarked) {
    ManualClock clock;
    Recorder recorder(clock, {1, 1, 0}, 16);
    const auto run = [&](Level level) {
        (void)recorder.begin_iteration(0, level);
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
        return std::vector<bool>{!std::isnan(account.activity_time[index(Activity::measurement)]),
                                 !std::isnan(account.activity_time[index(Activity::input_wait)]),
                                 !std::isnan(account.layer_time[0]),
                                 !std::isnan(account.op_time[0])};
    };
    EXPECT_EQ(seen(run(Level::off)), (std::vector<bool>{true, false, false, false}));
    EXPECT_EQ(seen(run(Level::iteration)), (std::vector<bool>{true, true, false, false}));
    EXPECT_EQ(seen(run(Level::layer)), (std::vector<bool>{true, true, true, false}));
    EXPECT_EQ(seen(run(Level::op)), (std::vector<bool>{true, true, true, true}));
}

TEST(Recorder, SpansBeyondTheCapacityAreCountedNotForgotten) {
    ManualClock clock;
    Recorder recorder(clock, {1, 0, 0}, 2);
    (void)recorder.begin_iteration(0, Level::layer);
    for (int i = 0; i < 8; ++i) {
        const auto scope = recorder.layer(LayerId{0}, Phase::forward);
    }
    recorder.end_iteration();
    EXPECT_EQ(recorder.dropped(), 4);  // the beginning and 8 layers into 2 places and 3 of gaps
}

// What is dropped is missing from the account of its iteration alone, and is not taken for
// another's time.
TEST(Recorder, SpansThatWereDroppedLateAreUnaccounted) {
    ManualClock clock(2);
    Recorder recorder(clock, {1, 0, 0}, 2);  // 5 places: two spans, and gaps around them
    std::vector<Account> accounts;
    for (int i = 0; i < 6; ++i) {
        {
            const auto measuring = recorder.begin_iteration(i, Level::layer);
            clock.advance(500);
            if (auto closed = recorder.take_closed()) {
                EXPECT_EQ(closed->iteration, i - 3);
                accounts.push_back(closed->account);
            }
        }
        const int layers = i == 2 ? 7 : 3;
        for (int k = 0; k < layers; ++k) {
            clock.advance(100);
            const auto scope = recorder.layer(LayerId{0}, Phase::forward);
            clock.advance(1'000);
        }
        recorder.end_iteration();
        EXPECT_EQ(recorder.dropped(), i < 2 ? 0 : 3);  // 1 + 7 into 5
    }
    while (auto closed = recorder.drain()) {
        accounts.push_back(closed->account);
    }
    ASSERT_EQ(accounts.size(), 6U);
    for (std::size_t i = 0; i < accounts.size(); ++i) {
        const bool has_dropped = i == 2;
        // The way to a pass's second and later layers is theirs.
        EXPECT_FLOAT_EQ(accounts[i].layer_time[0], has_dropped ? 4.3F : 3.2F) << i;
        EXPECT_FLOAT_EQ(accounts[i].activity_time[index(Activity::measurement)], 0.5F) << i;
        EXPECT_FLOAT_EQ(accounts[i].iteration_time, has_dropped ? 8.2F : 3.8F) << i;
        EXPECT_FLOAT_EQ(accounts[i].unaccounted, has_dropped ? 3.4F : 0.1F) << i;
    }
}

TEST(Recorder, LayersOfOnePassShareAMarkAndNothingElseDoes) {
    ManualClock clock;
    Recorder recorder(clock, {3, 0, 0}, 16);
    const auto layer = [&](int id, Phase phase) {
        clock.advance(1'000);
        const auto scope = recorder.layer(LayerId{id}, phase);
        clock.advance(10'000);
    };
    const auto activity = [&](Activity which) {
        clock.advance(1'000);
        const auto scope = recorder.activity(which);
        clock.advance(100);
    };
    const auto launch = [&] {
        clock.advance(1'000);
        const auto scope = recorder.launch(recorder.bucket_ready());
        clock.advance(100);
    };
    (void)recorder.begin_iteration(0, Level::layer);
    layer(0, Phase::forward);   // a gap before it
    layer(1, Phase::forward);   // what came before it in this pass is its own
    layer(1, Phase::backward);  // another pass: a gap
    launch();
    layer(0, Phase::backward);       // still that pass
    activity(Activity::memcpy_d2h);  // a gap
    layer(2, Phase::backward);       // the same pass, interrupted: a gap
    recorder.end_iteration();
    (void)recorder.begin_iteration(1, Level::layer);
    layer(0, Phase::backward);  // another iteration: a gap
    recorder.end_iteration();

    const Account first = recorder.take_closed()->account;
    EXPECT_FLOAT_EQ(first.layer_time[0 * 3 + index(Phase::forward)], 10.0F);
    EXPECT_FLOAT_EQ(first.layer_time[1 * 3 + index(Phase::forward)], 11.0F);
    EXPECT_FLOAT_EQ(first.layer_time[1 * 3 + index(Phase::backward)], 10.0F);
    EXPECT_FLOAT_EQ(first.activity_time[index(Activity::idle_launch)], 1.1F);
    EXPECT_FLOAT_EQ(first.layer_time[0 * 3 + index(Phase::backward)], 11.0F);
    EXPECT_FLOAT_EQ(first.layer_time[2 * 3 + index(Phase::backward)], 10.0F);
    EXPECT_FLOAT_EQ(first.unaccounted, 4.0F);
    const Account second = recorder.take_closed()->account;
    EXPECT_FLOAT_EQ(second.layer_time[0 * 3 + index(Phase::backward)], 10.0F);
    EXPECT_FLOAT_EQ(second.unaccounted, 1.0F);
}

// Iterations of one layer with something before, inside and after it.
class RecorderGaps : public ::testing::Test {
protected:
    struct Times {
        float layer_us, idle_us, unaccounted_us;
        friend bool operator==(const Times&, const Times&) = default;
    };
    using Action = std::function<void()>;

    Times times(const Action& before, const Action& inside, const Action& after,
                Level level = Level::layer) {
        (void)recorder.begin_iteration(0, level);
        before();
        {
            const auto scope = recorder.layer(LayerId{0}, Phase::forward);
            inside();
        }
        after();
        recorder.end_iteration();
        const Account account = recorder.take_closed()->account;
        return {account.layer_time[0], account.activity_time[index(Activity::idle_other)],
                account.unaccounted};
    }
    [[nodiscard]] Action run(std::int64_t ns) {
        return [this, ns] { clock.advance(ns); };
    }
    [[nodiscard]] Action lose(std::int64_t ns) {
        return [this, ns] { clock.preempt(ns); };
    }

    ManualClock clock;
    Recorder recorder{clock, {1, 1, 0}, 16};
};

TEST_F(RecorderGaps, AGapInWhichTheProcessorWasLostIsIdle) {
    EXPECT_EQ(times(lose(40'000), run(2'000), run(1'000)), (Times{2, 40, 1}));
    EXPECT_EQ(times(run(3'000), run(2'000), lose(40'000)), (Times{2, 40, 3}));
    EXPECT_EQ(times(lose(3'000), run(2'000), lose(4'000)), (Times{2, 7, 0}));
}

TEST_F(RecorderGaps, ALongGapIsUnaccountedAsLongAsTheProcessorWasKept) {
    EXPECT_EQ(times(run(90'000), run(2'000), run(50'000)), (Times{2, 0, 140}));
}

TEST_F(RecorderGaps, ALossInsideASpanDoesNotRenameAGap) {
    EXPECT_EQ(times(run(1'000), lose(70'000), run(5'000)), (Times{70, 0, 6}));
}

TEST_F(RecorderGaps, ALossBetweenWindowsBelongsToTheNextOne) {
    EXPECT_EQ(times(run(1'000), run(2'000), run(0)), (Times{2, 0, 1}));
    clock.preempt(30'000);
    EXPECT_EQ(times(run(1'000), run(2'000), run(4'000)), (Times{2, 30, 5}));
    // A pause is in no window, nor what was lost in it.
    clock.preempt(70'000);
    recorder.pause_ended();
    EXPECT_EQ(times(run(5'000), run(2'000), run(0)), (Times{2, 0, 5}));
}

TEST_F(RecorderGaps, ALossBetweenTwoLayersOfAPassIsTheLaterOnes) {
    EXPECT_EQ(times(
                  run(0), [this] { clock.advance(2'000); },
                  [this] {
                      clock.preempt(40'000);
                      {
                          const auto scope = recorder.layer(LayerId{0}, Phase::forward);
                          clock.advance(1'000);
                      }
                      clock.advance(3'000);
                  }),
              (Times{43, 0, 3}));
}

TEST_F(RecorderGaps, OperationsDoNotDisturbTheGapsBetweenLayers) {
    const Action operation = [this] {
        clock.preempt(1'000);
        const auto scope = recorder.op(OpId{0}, Phase::forward);
        clock.preempt(2'000);
    };
    EXPECT_EQ(times(run(4'000), operation, lose(6'000), Level::op), (Times{3, 6, 4}));
}

}  // namespace
}  // namespace layerledger
