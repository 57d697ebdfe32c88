#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "queue_marks_fixture.hpp"

namespace layerledger::cuda {
namespace {

using testing::By;
using testing::Marks;
using testing::name_of;
using testing::queue_with;
using testing::SimulatedEvents;
using testing::SimulatedQueue;

class QueueMarksTest : public ::testing::TestWithParam<By> {
protected:
    SimulatedQueue queue = queue_with(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Marks, QueueMarksTest, ::testing::Values(By::events, By::stamps), name_of);

TEST_P(QueueMarksTest, AMarkIsTheMomentAtWhichTheDevicePassesIt) {
    Marks marks{SimulatedEvents(queue)};
    const Mark start = marks.mark();
    const std::int64_t enqueued_ns = queue.host_ns;
    queue.enqueue(queue.compute, 700'000);
    const Mark middle = marks.mark();
    queue.enqueue(queue.compute, 40'000'000);
    const Mark end = marks.mark();
    // The device starts when the work is there; the clocks agree to the microseconds of a reading.
    EXPECT_NEAR(static_cast<double>(marks.nanoseconds(start)), static_cast<double>(enqueued_ns),
                6'000);
    EXPECT_NEAR(static_cast<double>(marks.nanoseconds(middle) - marks.nanoseconds(start)), 700'000,
                300);
    EXPECT_NEAR(static_cast<double>(marks.nanoseconds(end) - marks.nanoseconds(middle)), 40'000'000,
                33);
    EXPECT_EQ(queue.count("refused"), 0U);
}

TEST_P(QueueMarksTest, AHostMarkIsTheLaterOfTheNewestMarkAndNowAndHoldsNothingUp) {
    Marks marks{SimulatedEvents(queue)};
    const std::size_t marked = queue.count(made(GetParam()));
    queue.enqueue(queue.compute, 900'000);
    const Mark worked = marks.mark();
    queue.work_host(100'000);
    const Mark early = marks.host_mark();  // the device still works
    queue.work_host(2'000'000);
    const std::int64_t now_ns = queue.host_ns;
    const Mark late = marks.host_mark();  // it has been waiting for a while
    EXPECT_EQ(marks.nanoseconds(early), marks.nanoseconds(worked));
    EXPECT_NEAR(static_cast<double>(marks.nanoseconds(late)), static_cast<double>(now_ns), 100);
    EXPECT_EQ(queue.count(made(GetParam())), marked + 1);
}

TEST_P(QueueMarksTest, OneWaitServesAllMarksOfTheComputeStream) {
    Marks marks{SimulatedEvents(queue)};
    std::vector<Mark> all;
    for (int i = 0; i < 20; ++i) {
        queue.enqueue(queue.compute, 10'000);
        all.push_back(marks.mark());
    }
    const std::size_t waits = queue.count("wait");
    const std::size_t reads = queue.count("elapsed");
    const std::int64_t last_ns = marks.nanoseconds(all.back());
    for (std::size_t i = 0; i < all.size(); ++i) {
        EXPECT_NEAR(static_cast<double>(last_ns - marks.nanoseconds(all[i])),
                    10'000.0 * static_cast<double>(all.size() - 1 - i), 33);
    }
    EXPECT_EQ(queue.count("wait"), waits + 1);
    EXPECT_EQ(queue.count("elapsed"), reads + (GetParam() == By::events ? 20U : 0U));
    EXPECT_EQ(queue.count("refused"), 0U);
}

TEST_P(QueueMarksTest, OtherStreamsHaveTimesOfTheirOwn) {
    Marks marks{SimulatedEvents(queue)};
    queue.enqueue(queue.compute, 5'000'000);
    const Mark computed = marks.mark();
    const Mark copying = marks.mark_on(queue.copies);
    queue.enqueue(queue.copies, 1'000'000);
    const Mark copied = marks.mark_on(queue.copies);
    const Mark after = marks.mark();
    EXPECT_NEAR(static_cast<double>(marks.nanoseconds(copied) - marks.nanoseconds(copying)),
                1'000'000, 300);
    EXPECT_LT(marks.nanoseconds(copied), marks.nanoseconds(computed));
    EXPECT_GE(marks.nanoseconds(after), marks.nanoseconds(computed));
    EXPECT_EQ(queue.count("refused"), 0U);
}

TEST_P(QueueMarksTest, ARingThatIsTooSmallCostsAWaitNotAWrongTime) {
    Marks marks{SimulatedEvents(queue)};
    std::vector<Mark> all;
    for (int i = 0; i < 5'000; ++i) {
        queue.enqueue(queue.compute, 1'000'000);
        all.push_back(i % 3 == 0 ? marks.host_mark() : marks.mark());
    }
    EXPECT_EQ(marks.nanoseconds(all.front()), 0);  // overwritten
    const std::int64_t late_ns = marks.nanoseconds(all[4'999]);
    EXPECT_NEAR(static_cast<double>(late_ns - marks.nanoseconds(all[4'900])), 99e6, 100);
    EXPECT_EQ(queue.count("refused"), 0U);
}

// Four executables of a graph have more marks than the ring.
TEST_P(QueueMarksTest, AGraphInARingThatIsTooSmallCostsAWaitNotAWrongTime) {
    Marks marks{SimulatedEvents(queue)};
    constexpr int captured = 100;
    std::vector<SimulatedQueue::Step> steps;
    std::vector<Marks::Captured> turns;
    queue.capture = &steps;
    marks.begin_capture();
    for (int i = 0; i < captured; ++i) {
        queue.enqueue(queue.compute, 1'000'000);
        static_cast<void>(marks.mark());
    }
    turns.push_back({marks.end_capture(), 0});
    queue.capture = nullptr;
    while (turns.size() < 4) {
        Marks::Captured& turn = turns.emplace_back();
        while (turn.numbers.size() < captured) {
            turn.numbers.push_back(marks.events().add());
        }
    }
    for (std::size_t launch = 0; launch < 12; ++launch) {
        Marks::Captured& turn = turns[launch % turns.size()];
        const Mark first = marks.replay(turn);
        marks.events().launch(steps, turn.numbers);
        const std::int64_t end_ns = queue.compute.free_ns;
        static_cast<void>(marks.mark());
        if (launch % 5 == 4) {  // the others have no other reader than the ring
            const std::int64_t last_ns = marks.nanoseconds(first + captured - 1);
            EXPECT_NEAR(static_cast<double>(last_ns - end_ns), 0, 5'000) << launch;
            EXPECT_NEAR(static_cast<double>(last_ns - marks.nanoseconds(first)), 99e6, 100)
                << launch;
        }
    }
    EXPECT_EQ(queue.count("refused"), 0U);
}

TEST_P(QueueMarksTest, ReadingsAtRestFollowAClockThatDrifts) {
    queue.device_rate = 1 + 40e-6;
    Marks marks{SimulatedEvents(queue)};
    double worst_early_ns = 0;
    double worst_late_ns = 0;
    for (int second = 0; second < 60; ++second) {
        static_cast<void>(marks.rest_mark());
        queue.enqueue(queue.compute, 1'000'000'000);
        const Mark mark = marks.mark();
        const std::int64_t passed_ns = queue.compute.free_ns;
        queue.work_host(1'100'000'000);
        const double error_ns = std::abs(static_cast<double>(marks.nanoseconds(mark) - passed_ns));
        (second < 5 ? worst_early_ns : worst_late_ns) =
            std::max(second < 5 ? worst_early_ns : worst_late_ns, error_ns);
    }
    EXPECT_LT(worst_early_ns, 50'000);  // a second of drift, as long as nothing is known of it
    EXPECT_LT(worst_late_ns, 1'500);
}

// What the copy waited for on the compute stream, and what waited for the copy there.
TEST_P(QueueMarksTest, MarksOfAllStreamsAreOnOneClock) {
    queue.device_rate = 1 + 40e-6;
    Marks marks{SimulatedEvents(queue)};
    for (int i = 0; i < 5; ++i) {
        static_cast<void>(marks.rest_mark());
        queue.enqueue(queue.compute, 2'000'000);
        const Mark before = marks.mark();
        SimulatedQueue::hold(queue.copies, queue.compute);
        const Mark copying = marks.mark_on(queue.copies);
        queue.enqueue(queue.copies, 500'000);
        const Mark copied = marks.mark_on(queue.copies);
        SimulatedQueue::hold(queue.compute, queue.copies);
        const Mark after = marks.mark();
        EXPECT_NEAR(static_cast<double>(marks.nanoseconds(copying) - marks.nanoseconds(before)), 0,
                    200);
        EXPECT_NEAR(static_cast<double>(marks.nanoseconds(copied) - marks.nanoseconds(copying)),
                    500'000, 100);
        EXPECT_NEAR(static_cast<double>(marks.nanoseconds(after) - marks.nanoseconds(copied)), 0,
                    200);
        queue.work_host(800'000'000);
    }
    EXPECT_EQ(queue.count("refused"), 0U);
}

// Whoever asks for a mark waits for the end of its iteration and not for what came since.
TEST(QueueMarks, AStampIsWaitedForUntilItsIterationEnds) {
    SimulatedQueue queue = queue_with(By::stamps);
    Marks marks{SimulatedEvents(queue)};
    std::vector<Mark> ends;
    std::vector<std::int64_t> ends_ns;
    for (int i = 0; i < 4; ++i) {
        queue.enqueue(queue.compute, 3'000'000);
        static_cast<void>(marks.mark());
        queue.enqueue(queue.compute, 1'000'000);
        ends.push_back(marks.mark());
        ends_ns.push_back(queue.compute.free_ns);
        marks.iteration_ended();
    }
    for (std::size_t i = 0; i < ends.size(); ++i) {
        const std::int64_t end_ns = marks.nanoseconds(ends[i]);
        EXPECT_NEAR(static_cast<double>(queue.host_ns - ends_ns[i]),
                    static_cast<double>(queue.wake_ns), 100);
        EXPECT_NEAR(static_cast<double>(end_ns - ends_ns[i]), 0, 5'000);
    }
    EXPECT_EQ(queue.count("fence"), 4U);
    EXPECT_EQ(queue.count("refused"), 0U);
}

// The time from an event to the next is a float.
TEST(QueueMarks, AmongStampsAnEventASecondKeepsNeighboursClose) {
    SimulatedQueue queue = queue_with(By::stamps);
    Marks marks{SimulatedEvents(queue)};
    static_cast<void>(marks.rest_mark());
    const std::size_t recorded = queue.count("record");
    for (int i = 0; i < 6'000; ++i) {
        queue.enqueue(queue.compute, 10'000'000);
        const Mark mark = marks.mark();
        marks.iteration_ended();
        static_cast<void>(marks.nanoseconds(mark - 1));
    }
    EXPECT_NEAR(static_cast<double>(queue.count("record") - recorded), 60, 2);
    const Mark copied = marks.mark_on(queue.copies);
    EXPECT_NEAR(static_cast<double>(marks.nanoseconds(copied) - queue.copies.free_ns), 0, 3'000);
    EXPECT_EQ(queue.count("refused"), 0U);
}

}  // namespace
}  // namespace layerledger::cuda
