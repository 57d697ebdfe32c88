// What the ledger makes of a simulated device's marks.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "layerledger/timeline/recorder.hpp"
#include "queue_marks_fixture.hpp"

namespace layerledger::cuda {
namespace {

using testing::By;
using testing::made;
using testing::Marks;
using testing::name_of;
using testing::queue_with;
using testing::SimulatedEvents;
using testing::SimulatedQueue;

/// Trainings of one layer on the simulated device: what the recorder makes of them.
class QueueAccount : public ::testing::TestWithParam<By> {
protected:
    struct Iteration {
        std::int64_t before_layers_ns = 0;  // the host's, after the input came
        std::int64_t copy_ns = 0;           // of the input
    };

    Account train(const std::vector<Iteration>& iterations, Level level = Level::layer) {
        std::optional<Account> newest;
        int number = 0;
        for (const Iteration& iteration : iterations) {
            {
                const auto measuring = recorder.begin_iteration(number++, level);
                queue.work_host(4'000);
                keep(newest, recorder.take_closed());
            }
            {
                const auto waiting = recorder.activity(Activity::input_wait);
                queue.work_host(2'000);
            }
            {
                const auto copying = recorder.activity(Activity::memcpy_h2d);
                if (iteration.copy_ns > 0) {
                    CopySpan* copy = recorder.copy();
                    if (copy != nullptr) {
                        copy->start = marks.mark_on(queue.copies);
                    }
                    queue.enqueue(queue.copies, iteration.copy_ns);
                    if (copy != nullptr) {
                        copy->end = marks.mark_on(queue.copies);
                    }
                    SimulatedQueue::hold(queue.compute, queue.copies);
                }
                queue.enqueue(queue.compute, 20'000);
            }
            queue.work_host(iteration.before_layers_ns);
            enqueue(gradients, level, [&] {
                pass(Phase::forward);
                pass(Phase::backward);
            });
            BucketSpan& bucket = recorder.bucket(BucketId{0});
            bucket.ready = recorder.bucket_ready();
            {
                const auto launching = recorder.launch(bucket.ready);
                bucket.start = bucket.transfer = bucket.end = bucket.ready;
            }
            { const auto joining = recorder.join(); }
            enqueue(update, level, [&] { pass(Phase::update); });
            {
                const auto copying = recorder.activity(Activity::memcpy_d2h);
                queue.enqueue(queue.compute, 2'000);
            }
            { const auto measuring = recorder.activity(Activity::measurement); }
            recorder.end_iteration();
        }
        marks_of_all = queue.count(made(GetParam()));
        ahead_ns = queue.compute.free_ns - queue.host_ns;
        while (auto closed = recorder.drain()) {
            keep(newest, std::move(closed));
        }
        EXPECT_EQ(queue.count("refused"), 0U);
        EXPECT_EQ(recorder.dropped(), 0);
        return *newest;
    }

    void pass(Phase phase) {
        for (int layer = 0; layer < layers; ++layer) {
            const auto scope = recorder.layer(LayerId{layer}, phase);
            for (int op = 0; op < 2; ++op) {
                const auto inner = recorder.op(OpId{2 * layer + op}, phase);
                queue.work_host(launch_cost_ns);
                queue.enqueue(queue.compute, kernel_ns);
            }
        }
    }

    // As the trainer and CapturedGraph do it.
    enum Part { gradients, update };
    struct Graph {
        std::vector<SimulatedQueue::Step> steps;
        std::vector<Span> spans;
        std::vector<Marks::Captured> turns;
        std::size_t next = 0;
    };
    void enqueue(Part part, Level level, const std::function<void()>& work) {
        if (!as_graph) {
            work();
            return;
        }
        Graph& graph = graphs[{part, level}];
        if (graph.turns.empty()) {
            recorder.begin_capture();
            queue.capture = &graph.steps;
            marks.begin_capture();
            work();
            graph.turns.push_back({marks.end_capture(), 0});
            queue.capture = nullptr;
            graph.spans = recorder.end_capture();
            const std::size_t turns = graph.turns.front().numbers.empty() ? 1 : 4;
            while (graph.turns.size() < turns) {
                Marks::Captured& turn = graph.turns.emplace_back();
                while (turn.numbers.size() < graph.turns.front().numbers.size()) {
                    turn.numbers.push_back(marks.events().add());
                }
            }
        }
        recorder.replay(graph.spans, [&] {
            Marks::Captured& turn = graph.turns[graph.next++ % graph.turns.size()];
            const Mark first = marks.replay(turn);
            queue.work_host(launch_cost_ns);
            marks.events().launch(graph.steps, turn.numbers);
            return first;
        });
    }

    // The sums of what events say close every account; nothing is left over.
    void keep(std::optional<Account>& newest, std::optional<ClosedIteration> closed) {
        if (!closed) {
            return;
        }
        const Account& account = closed->account;
        if (closed->level >= Level::layer) {
            double sum_us = 0;
            for (const float us : account.layer_time) {
                EXPECT_GE(us, 0.0F);
                sum_us += static_cast<double>(us);
            }
            for (const float us : account.activity_time) {
                EXPECT_GE(us, 0.0F);
                sum_us += static_cast<double>(us);
            }
            EXPECT_NEAR(sum_us, static_cast<double>(account.iteration_time), 0.01);
            EXPECT_NEAR(account.unaccounted, 0.0F, 1e-3F);
        }
        if (previous_end_ns) {
            EXPECT_NEAR(static_cast<double>(account.start_ns), *previous_end_ns, 10);
        }
        previous_end_ns = static_cast<double>(account.start_ns) +
                          static_cast<double>(account.iteration_time) * 1e3;
        newest = account;
    }

    [[nodiscard]] static float time(const Account& account, Activity activity) {
        return account.activity_time[index(activity)];
    }

    static constexpr int layers = 3;
    std::int64_t kernel_ns = 100'000;
    std::int64_t launch_cost_ns = 5'000;
    bool as_graph = false;
    std::map<std::pair<Part, Level>, Graph> graphs;
    SimulatedQueue queue = queue_with(GetParam());
    Marks marks{SimulatedEvents(queue)};
    Recorder recorder{marks, {layers, 2 * layers, 1}, 40};
    std::optional<double> previous_end_ns;
    std::size_t marks_of_all = 0;
    std::int64_t ahead_ns = 0;  // of the device, the host when the last iteration had been enqueued
};

INSTANTIATE_TEST_SUITE_P(Marks, QueueAccount, ::testing::Values(By::events, By::stamps), name_of);

TEST_P(QueueAccount, ABusyDeviceNeitherWaitsForTheHostNorLosesTime) {
    const Account account = train(std::vector<Iteration>(8));
    for (const float us : account.layer_time) {
        EXPECT_NEAR(us, 200.0F, 0.1F);
    }
    EXPECT_FLOAT_EQ(time(account, Activity::idle_launch), 0.0F);
    EXPECT_FLOAT_EQ(account.launch_bound, 0.0F);
    EXPECT_FLOAT_EQ(time(account, Activity::input_wait), 0.0F);
    EXPECT_FLOAT_EQ(time(account, Activity::measurement), 0.0F);
    EXPECT_NEAR(time(account, Activity::memcpy_h2d), 20.0F, 0.1F);
    EXPECT_NEAR(account.iteration_time, 9 * 200 + 20 + 2, 0.5F);
}

// One mark at the end of every layer's phase, of the input's arrival and of the metrics' way back.
TEST_P(QueueAccount, MarksHoldTheDeviceUpOnlyWhereItHadWork) {
    const std::size_t before = queue.count(made(GetParam()));
    static_cast<void>(train(std::vector<Iteration>(1)));
    // The first iteration begins behind a pause, where clocks are read.
    const std::size_t of_reading = GetParam() == By::stamps ? 4 : 9;
    EXPECT_EQ(marks_of_all - before, of_reading + 3 * layers + 2);
}

TEST_P(QueueAccount, AnUnprofiledIterationHasOneMark) {
    static_cast<void>(train(std::vector<Iteration>(1), Level::off));
    const std::size_t before = marks_of_all;
    static_cast<void>(train(std::vector<Iteration>(5), Level::off));
    EXPECT_EQ(marks_of_all - before, 5U);
}

TEST_P(QueueAccount, StampsLeaveNoEventsButThoseOfReadingClocks) {
    static_cast<void>(train(std::vector<Iteration>(1)));
    const std::size_t before = queue.count("record");
    const std::size_t fences = queue.count("fence");
    static_cast<void>(train(std::vector<Iteration>(5)));
    const std::size_t iterations = 5;
    const bool stamps = GetParam() == By::stamps;
    EXPECT_EQ(queue.count("record") - before, stamps ? 0U : iterations * (3 * layers + 2));
    EXPECT_EQ(queue.count("fence") - fences, stamps ? iterations : 0U);
}

// A stamp costs the device less, an event the host: whoever waits for the other decides.
TEST_P(QueueAccount, MarksOfADeviceThatWaitsForTheHostAreEvents) {
    const bool stamps = GetParam() == By::stamps;
    const std::size_t made = 5 * (3 * layers + 2);
    queue.stamping_ns = 4'000;
    for (const bool waits : {false, true, false}) {
        kernel_ns = waits ? 1'000 : 100'000;
        static_cast<void>(train(std::vector<Iteration>(12)));
        const std::size_t stamped = queue.count("stamp");
        const std::size_t recorded = queue.count("record");
        const Account account = train(std::vector<Iteration>(5));
        EXPECT_EQ(queue.count("stamp") - stamped, stamps && !waits ? made : 0);
        EXPECT_EQ(queue.count("record") - recorded, stamps && !waits ? 0 : made);
        EXPECT_NEAR(account.layer_time[index(Phase::update)], waits ? 7.0F : 200.0F,
                    waits ? 4.0F : 0.1F);
    }
}

TEST_P(QueueAccount, OperationsShareTheMarksOfTheirLayers) {
    static_cast<void>(train(std::vector<Iteration>(1), Level::op));
    const std::size_t before = marks_of_all;
    const Account account = train(std::vector<Iteration>(6), Level::op);
    EXPECT_EQ(marks_of_all - before, 6 * (6 * layers + 2U));
    for (const float us : account.op_time) {
        EXPECT_NEAR(us, 100.0F, 0.1F);
    }
}

// The host enqueues the layers half a millisecond after the device has got the input.
TEST_P(QueueAccount, ALayerThatComesLateMakesTheDeviceIdleNotItselfSlow) {
    for (const Level level : {Level::layer, Level::op}) {
        kernel_ns = 1'000;
        const Account account =
            train(std::vector<Iteration>(5, {.before_layers_ns = 500'000}), level);
        EXPECT_NEAR(time(account, Activity::idle_launch), 500 - 23, 6.0F);
        // The device waits 5 us for each kernel too, but how long no mark can tell.
        EXPECT_GT(account.launch_bound, 9 * 6.0F);
        EXPECT_LE(account.launch_bound, account.iteration_time);
        EXPECT_NEAR(account.layer_time[index(Phase::forward)], 11.0F, 6.0F);
        EXPECT_GT(account.layer_start[index(Phase::forward)], 480.0F);
    }
}

// The same columns with the same numbers, though the host takes 5 us for all of it and not for
// each.
TEST_P(QueueAccount, AGraphIsAccountedForLayerByLayer) {
    for (const Level level : {Level::layer, Level::op}) {
        as_graph = false;
        const Account one_by_one = train(std::vector<Iteration>(9), level);
        as_graph = true;
        const std::size_t before = queue.count(made(GetParam()));
        const Account as_a_whole = train(std::vector<Iteration>(9), level);
        EXPECT_EQ(marks_of_all - before, 9 * 2U);  // of the input and the metrics
        for (std::size_t i = 0; i < one_by_one.layer_time.size(); ++i) {
            EXPECT_NEAR(as_a_whole.layer_time[i], one_by_one.layer_time[i], 0.1F) << i;
            EXPECT_NEAR(as_a_whole.layer_start[i], one_by_one.layer_start[i], 1.0F) << i;
        }
        for (std::size_t i = 0; level == Level::op && i < one_by_one.op_time.size(); ++i) {
            EXPECT_NEAR(as_a_whole.op_time[i], one_by_one.op_time[i], 0.1F) << i;
        }
        EXPECT_NEAR(as_a_whole.iteration_time, one_by_one.iteration_time, 0.5F);
        EXPECT_FLOAT_EQ(as_a_whole.launch_bound, 0.0F);
        EXPECT_NEAR(as_a_whole.bucket_ready[0], one_by_one.bucket_ready[0], 1.0F);
    }
}

TEST_P(QueueAccount, AGraphThatComesLateLeavesTheDeviceIdleOnce) {
    as_graph = true;
    kernel_ns = 1'000;
    const Account account = train(std::vector<Iteration>(7, {.before_layers_ns = 500'000}));
    // The device is behind the host by a launch, the update's six kernels and the metrics at most.
    EXPECT_LE(time(account, Activity::idle_launch), 500 - 23 + 1);
    EXPECT_GE(time(account, Activity::idle_launch), 500 - 23 - (3 + 6 + 2));
    for (std::size_t i = 1; i < account.layer_time.size(); ++i) {
        // The first of either part waits for its launch; between the kernels there is no gap.
        const bool is_first = i == index(Phase::update);
        EXPECT_NEAR(account.layer_time[i], is_first ? 6.0F : 2.0F, is_first ? 4.1F : 0.1F) << i;
    }
    EXPECT_FLOAT_EQ(account.launch_bound, account.layer_time[index(Phase::forward)] +
                                              account.layer_time[index(Phase::update)]);
}

// The host enqueues the next iterations while the device works on one, whatever is marked of it.
TEST_P(QueueAccount, TheHostStaysAheadOfTheDevice) {
    for (const bool graph : {false, true}) {
        as_graph = graph;
        for (const Level level : {Level::off, Level::iteration, Level::layer, Level::op}) {
            const Account account = train(std::vector<Iteration>(10), level);
            EXPECT_GT(static_cast<double>(ahead_ns),
                      1.5e3 * static_cast<double>(account.iteration_time))
                << "graph " << graph << ", level " << static_cast<int>(level);
        }
    }
}

TEST_P(QueueAccount, LevelsTakeTurnsInGraphsOfTheirOwn) {
    as_graph = true;
    static_cast<void>(train(std::vector<Iteration>(3)));
    for (int i = 0; i < 6; ++i) {
        static_cast<void>(train(std::vector<Iteration>(1), Level::off));
        const Account account = train(std::vector<Iteration>(1));
        EXPECT_NEAR(account.layer_time[index(Phase::backward)], 200.0F, 0.1F);
    }
    EXPECT_EQ(graphs.size(), 4U);
}

TEST_P(QueueAccount, ACopyUnderTheWorkOfTheIterationBeforeIsHidden) {
    const Account account = train(std::vector<Iteration>(8, {.copy_ns = 300'000}));
    EXPECT_NEAR(account.memcpy_hidden, 300.0F, 1.0F);
    EXPECT_NEAR(time(account, Activity::memcpy_h2d), 20.0F, 1.0F);
    EXPECT_NEAR(account.iteration_time, 9 * 200 + 20 + 2, 2.0F);
}

TEST_P(QueueAccount, ACopyThatTheDeviceWaitsForIsNot) {
    kernel_ns = 1'000;
    const Account account = train(std::vector<Iteration>(8, {.copy_ns = 3'000'000}));
    EXPECT_NEAR(time(account, Activity::memcpy_h2d) + account.memcpy_hidden, 3'020.0F, 30.0F);
    EXPECT_GT(time(account, Activity::memcpy_h2d), 2'500.0F);
    EXPECT_NEAR(account.unaccounted, 0.0F, 1e-3F);
}

TEST_P(QueueAccount, WithoutACopyNothingIsSaidOfHiddenOnes) {
    EXPECT_TRUE(std::isnan(train(std::vector<Iteration>(4)).memcpy_hidden));
}

}  // namespace
}  // namespace layerledger::cuda
