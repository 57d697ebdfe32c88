#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "layerledger/train/trainer.hpp"
#include "support/fake_backend.hpp"
#include "train_networks.hpp"

namespace layerledger {
namespace {

using ::testing::ElementsAre;
using testing::FakeBackend;
using testing::FakeCollective;
using testing::FakeSource;
using testing::ManualClock;

class Collected final : public IterationObserver {
public:
    void iteration_finished(const IterationReport& report) override { reports.push_back(report); }
    void kernels_sampled(std::int64_t iteration, const KernelAccount& account) override {
        sampled.push_back(iteration);
        kernels.push_back(account);
    }
    std::vector<IterationReport> reports;
    std::vector<std::int64_t> sampled;
    std::vector<KernelAccount> kernels;
};

/// Two fully connected layers: output (30 + 3 floats, 48 in the arena) comes first in backward,
/// then fc1 (40 + 10 floats, 64 in the arena).
struct Bench {
    explicit Bench(int latency = 0, std::int64_t per_epoch = 0)
        : backend(latency),
          collective(backend.journal, backend.clock),
          source(per_epoch),
          network(testing::two_layers()) {
        options.iterations = 3;
        options.bucket_floats = 48;
        options.iterations_per_epoch = per_epoch;
    }
    std::vector<IterationReport> run() {
        Trainer trainer(network, backend, collective, world, source, options);
        trainer.run(observer);
        overhead = trainer.overhead();
        return observer.reports;
    }
    FakeBackend backend;
    FakeCollective collective;
    FakeSource source;
    Communicator world;
    Network network;
    TrainerOptions options;
    Collected observer;
    std::optional<Overhead> overhead;
};

TEST(Trainer, ReducesABucketWhenItsLastGradientExistsAndUpdatesAfterTheJoin) {
    Bench bench;
    bench.options.iterations = 1;
    bench.run();
    EXPECT_THAT(bench.backend.journal,
                ElementsAre("load", "forward0", "forward1", "backward1", "reduce0:48", "backward0",
                            "reduce1:48", "reduce2:17", "join", "update64", "update48"));
}

/// Its batches end after so many.
class EndingSource final : public BatchSource {
public:
    explicit EndingSource(int batches) : left_(batches) {}
    const HostBatch& next() override {
        if (left_-- == 0) {
            throw Error(ExitCode::bad_data, "a bad image");
        }
        return batch_;
    }
    void seek(std::int64_t) override {}
    std::int64_t iterations_per_epoch() const noexcept override { return 0; }
    std::int64_t skipped() const noexcept override { return 0; }

private:
    int left_;
    HostBatch batch_;
};

TEST(Trainer, ARankWithoutGradientsStillTakesPartInEverySumAndUpdatesNothing) {
    Bench bench;
    EndingSource source(1);
    Trainer trainer(bench.network, bench.backend, bench.collective, bench.world, source,
                    bench.options);
    try {
        trainer.run(bench.observer);
        FAIL() << "trained on no batch";
    } catch (const AgreedError& error) {
        EXPECT_EQ(error.code(), ExitCode::bad_data);
        EXPECT_STREQ(error.what(), "a bad image");
        EXPECT_TRUE(error.met_here());
    }
    EXPECT_EQ(trainer.iterations_done(), 1);
    const auto update = std::ranges::find(bench.backend.journal, "update48");
    EXPECT_THAT(std::vector<std::string>(update + 1, bench.backend.journal.end()),
                ElementsAre("reduce0:48", "reduce1:48", "reduce2:17", "join"));
}

TEST(Trainer, ReportsEveryIterationOnceInOrder) {
    for (const int latency : {0, 2}) {
        Bench bench(latency);
        bench.options.iterations = 7;
        const auto reports = bench.run();
        ASSERT_EQ(reports.size(), 7U);
        for (std::size_t i = 0; i < reports.size(); ++i) {
            EXPECT_EQ(reports[i].iteration, static_cast<std::int64_t>(i));
            EXPECT_EQ(reports[i].metrics.images, 4);
        }
    }
}

TEST(Trainer, TheAccountHoldsWhatTheClockSaw) {
    const auto reports = Bench{}.run();
    const Account& account = reports[1].account;
    EXPECT_FLOAT_EQ(account.layer_time[0], 10.0F);
    EXPECT_FLOAT_EQ(account.layer_time[1], 20.0F);
    EXPECT_FLOAT_EQ(account.layer_time[2], 5.0F);
    // The host makes the batch ready in 3 us: that is no copy.
    EXPECT_FLOAT_EQ(account.activity_time[index(Activity::input_wait)], 3.0F);
    EXPECT_FLOAT_EQ(account.activity_time[index(Activity::memcpy_h2d)], 1.0F);
    // Three sums of 7 us, waited for one after the other; the first began under a backward pass.
    EXPECT_FLOAT_EQ(account.activity_time[index(Activity::allreduce_transfer)], 21.0F);
    EXPECT_FLOAT_EQ(account.allreduce_hidden, 20.0F);
    EXPECT_FLOAT_EQ(account.unaccounted, 0.0F);
    EXPECT_FLOAT_EQ(account.iteration_time, 3 + 1 + 2 * 10 + 2 * 20 + 21 + 2 * 5);
}

// Two iterations one by one, then each part captured once and launched in every iteration.
TEST(Trainer, AGraphIsCapturedOnceAndLaunchedWithWhatChanges) {
    Bench bench;
    bench.options.graph = true;
    bench.options.iterations = 4;
    bench.options.iterations_per_epoch = 1;
    bench.options.learning_rate = {.decay = DecayKind::step, .base = 1, .step_length = 2};
    bench.run();
    const auto& journal = bench.backend.journal;
    const auto third = std::ranges::find(journal, "capture") - 2;
    EXPECT_EQ(std::count(journal.begin(), third, "update64"), 2);
    EXPECT_THAT(
        std::vector<std::string>(third, journal.end()),
        ElementsAre("load", "pass", "capture", "forward0", "forward1", "backward1", "backward0",
                    "captured", "launch", "reduce0:48", "reduce1:48", "reduce2:17", "join",
                    "rate0.1", "capture", "update64", "update48", "captured", "launch",  //
                    "load", "pass", "launch", "reduce0:48", "reduce1:48", "reduce2:17", "join",
                    "rate0.1", "launch"));
}

TEST(Trainer, AGraphHasTheAccountOfItsWork) {
    for (const int latency : {0, 2}) {
        Bench bench(latency);
        bench.options.graph = true;
        bench.options.iterations = 6;
        const auto reports = bench.run();
        ASSERT_EQ(reports.size(), 6U);
        const Account& eager = reports[1].account;
        for (std::size_t i = 2; i < reports.size(); ++i) {
            const Account& account = reports[i].account;
            EXPECT_EQ(account.layer_time, eager.layer_time) << i;
            EXPECT_EQ(account.layer_start, eager.layer_start) << i;
            EXPECT_EQ(account.activity_time, eager.activity_time) << i;
            EXPECT_EQ(account.bucket_ready, eager.bucket_ready) << i;
            EXPECT_EQ(account.iteration_time, eager.iteration_time) << i;
            EXPECT_FLOAT_EQ(account.unaccounted, 0.0F) << i;
        }
    }
}

TEST(Trainer, EveryLevelHasItsOwnGraphs) {
    Bench bench;
    bench.options.graph = true;
    bench.options.iterations = 12;
    bench.options.profile.warmup = 0;
    bench.options.profile.overhead_check = true;
    const auto reports = bench.run();
    EXPECT_EQ(std::ranges::count(bench.backend.journal, "capture"), 4);
    EXPECT_EQ(std::ranges::count(bench.backend.journal, "launch"), 2 * 10);
    for (const IterationReport& report : reports) {
        EXPECT_EQ(std::isnan(report.account.layer_time[0]), report.level == Level::off);
    }
}

TEST(Trainer, EpochAndLearningRateFollowTheIteration) {
    Bench bench(0, 2);
    bench.options.learning_rate = {.decay = DecayKind::step, .base = 1, .step_length = 2};
    const auto reports = bench.run();
    EXPECT_EQ(reports[1].epoch, 0);
    EXPECT_EQ(reports[2].epoch, 1);
    EXPECT_FLOAT_EQ(bench.backend.steps[0].learning_rate, 1.0F);
    EXPECT_FLOAT_EQ(bench.backend.steps[4].learning_rate, 0.1F);
    EXPECT_DOUBLE_EQ(reports[2].learning_rate, 0.1);
}

TEST(Trainer, ComparingReplicasIsInNoWindow) {
    Bench bench;
    bench.options.digest_every = 1;
    const auto reports = bench.run();
    for (const IterationReport& report : reports) {
        EXPECT_FLOAT_EQ(report.account.unaccounted, 0.0F);
    }
}

/// Breaks after the given numbers of iterations, of which the last ends the training.
class SomeBreaks final : public Breaks {
public:
    SomeBreaks(ManualClock& clock, std::vector<std::int64_t> after, const Collected& observer)
        : clock_(clock), after_(std::move(after)), observer_(observer) {}
    bool is_due(std::int64_t done) override {
        asked.push_back(done);
        return std::find(after_.begin(), after_.end(), done) != after_.end();
    }
    bool take(std::int64_t done) override {
        clock_.advance(1'000'000);
        reported.push_back(observer_.reports.size());
        return done != after_.back();
    }
    std::vector<std::int64_t> asked;
    std::vector<std::size_t> reported;

private:
    ManualClock& clock_;
    std::vector<std::int64_t> after_;
    const Collected& observer_;
};

TEST(Trainer, ABreakIsInNoWindowAndComesWhenAllIsReported) {
    for (const int latency : {0, 2}) {
        Bench bench(latency);
        bench.options.iterations = 20;
        Trainer trainer(bench.network, bench.backend, bench.collective, bench.world, bench.source,
                        bench.options);
        SomeBreaks breaks(bench.backend.clock, {2, 5}, bench.observer);
        trainer.run(bench.observer, breaks);
        EXPECT_THAT(breaks.asked, ElementsAre(1, 2, 3, 4, 5));
        EXPECT_THAT(breaks.reported, ElementsAre(2U, 5U));
        EXPECT_EQ(trainer.iterations_done(), 5);
        EXPECT_FALSE(trainer.is_done());
        ASSERT_EQ(bench.observer.reports.size(), 5U);
        for (const IterationReport& report : bench.observer.reports) {
            EXPECT_LT(report.account.iteration_time, 1000.0F);
            EXPECT_FLOAT_EQ(report.account.unaccounted, 0.0F);
        }
    }
}

TEST(Trainer, NobodyIsAskedAfterTheLastIteration) {
    Bench bench;
    bench.options.iterations = 2;
    Trainer trainer(bench.network, bench.backend, bench.collective, bench.world, bench.source,
                    bench.options);
    SomeBreaks breaks(bench.backend.clock, {2}, bench.observer);
    trainer.run(bench.observer, breaks);
    EXPECT_THAT(breaks.asked, ElementsAre(1));
    EXPECT_TRUE(trainer.is_done());
}

TEST(Trainer, GoesOnWhereAStateWasTakenAndWarmsUpAgain) {
    Bench bench;
    bench.options.iterations = 6;
    bench.options.profile.warmup = 1;
    Trainer trainer(bench.network, bench.backend, bench.collective, bench.world, bench.source,
                    bench.options);
    TrainerState state = trainer.capture();
    state.iteration = 3;
    trainer.restore(state);
    trainer.run(bench.observer);
    ASSERT_EQ(bench.observer.reports.size(), 3U);
    EXPECT_EQ(bench.observer.reports[0].iteration, 3);
    EXPECT_TRUE(bench.observer.reports[0].warmup);
    EXPECT_FALSE(bench.observer.reports[1].warmup);
    EXPECT_EQ(bench.collective.iteration(), 6);  // what a sum that fails is named by
}

TEST(Trainer, OverheadCheckGivesAFigureOnceThereAreEnoughPairs) {
    Bench bench;
    bench.options.profile.overhead_check = true;
    bench.options.iterations = 10;
    bench.run();
    EXPECT_FALSE(bench.overhead.has_value());
    Bench longer;
    longer.options.profile.overhead_check = true;
    longer.options.iterations = 12;
    const auto reports = longer.run();
    ASSERT_TRUE(longer.overhead.has_value());
    EXPECT_EQ(longer.overhead->pairs, 6);
    EXPECT_NEAR(longer.overhead->percent, 0.0, 1e-6);  // on this clock marks cost nothing
    EXPECT_TRUE(std::isnan(reports[1].account.layer_time[0]));
}

TEST(Trainer, SeesTheKernelsOfSampledIterationsAndReportsOfThemTheDurationAlone) {
    for (const int latency : {0, 2}) {
        Bench bench(latency);
        bench.options.iterations = 9;
        bench.options.profile = {.level = Level::kernel, .warmup = 2, .kernel_every = 3};
        const auto reports = bench.run();
        EXPECT_THAT(bench.observer.sampled, ElementsAre(3, 6));
        ASSERT_EQ(reports.size(), 9U);
        for (const IterationReport& report : reports) {
            const bool is_watched = report.iteration >= 2 && report.iteration % 3 != 1;
            EXPECT_EQ(report.level, is_watched ? Level::off : Level::layer) << report.iteration;
            EXPECT_EQ(std::isnan(report.account.layer_time[0]), is_watched) << report.iteration;
            EXPECT_GT(report.account.iteration_time, 0) << report.iteration;
        }
        ASSERT_EQ(bench.observer.kernels[0].layers.size(), 6U);
        const LayerKernels& layer = bench.observer.kernels[0].layers[0];
        EXPECT_FLOAT_EQ(layer.marked, 10.0F);
        EXPECT_FLOAT_EQ(layer.busy, 5.0F);
        EXPECT_EQ(layer.kernels, 1);
        EXPECT_FLOAT_EQ(bench.observer.kernels[0].mismatch, 0.0F);
    }
}

TEST(Trainer, WatchesFromOneIterationBeforeASampleAndAnchorsItAtBothEnds) {
    Bench bench;
    bench.options.iterations = 3;
    bench.options.profile = {.level = Level::kernel, .kernel_every = 100};
    bench.run();
    const std::vector<std::string> iteration{"load",       "forward0",  "forward1",   "backward1",
                                             "reduce0:48", "backward0", "reduce1:48", "reduce2:17",
                                             "join",       "update64",  "update48"};
    std::vector<std::string> expected{"watch"};
    expected.insert(expected.end(), iteration.begin(), iteration.end());
    expected.insert(expected.end(), 3, "anchor");
    expected.insert(expected.end(), iteration.begin(), iteration.end());
    expected.insert(expected.end(), 3, "anchor");
    expected.push_back("unwatch");
    expected.insert(expected.end(), iteration.begin(), iteration.end());
    EXPECT_EQ(bench.backend.journal, expected);
}

TEST(Trainer, ASampleThatTrainingDoesNotComeToIsDropped) {
    Bench bench;
    bench.options.iterations = 3;
    bench.options.profile = {.level = Level::kernel, .warmup = 2, .kernel_every = 100};
    bench.run();
    EXPECT_TRUE(bench.observer.sampled.empty());
    EXPECT_EQ(std::ranges::count(bench.backend.journal, "unwatch"), 1);
}

TEST(Trainer, WatchedIterationsAreInNoOverhead) {
    Bench bench;
    bench.options.iterations = 42;
    bench.options.profile = {
        .level = Level::kernel, .warmup = 2, .overhead_check = true, .kernel_every = 20};
    bench.run();
    ASSERT_TRUE(bench.overhead.has_value());
    EXPECT_EQ(bench.overhead->pairs, 18) << "of 20, two have watched iterations";
}

TEST(Trainer, WithoutAWayToSeeKernelsLevelKernelIsRefused) {
    Bench bench;
    bench.backend.sees_kernels = false;
    bench.options.profile = {.level = Level::kernel, .kernel_every = 2};
    try {
        bench.run();
        FAIL() << "watched kernels that are not there";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::unavailable);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("profile.level=op"));
    }
}

}  // namespace
}  // namespace layerledger
