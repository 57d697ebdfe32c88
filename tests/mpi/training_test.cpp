// Whole training runs on the CPU backend, over all ranks of the test.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <thread>
#include <utility>

#include "layerledger/backend/cpu.hpp"
#include "layerledger/base/phase.hpp"
#include "layerledger/network/zoo.hpp"
#include "layerledger/train/trainer.hpp"

namespace layerledger {
namespace {

class Accounts final : public IterationObserver {
public:
    void iteration_finished(const IterationReport& report) override {
        losses.push_back(report.metrics.loss / static_cast<double>(report.metrics.images));
        windows_us += report.account.iteration_time;
        accounts.push_back(report.account);
    }
    std::vector<double> losses;
    std::vector<Account> accounts;
    double windows_us = 0;
};

enum class Plant : unsigned char { nothing, inside_updates, behind_updates };

// Long beside all that a small network does, even under a sanitizer.
constexpr auto planted = std::chrono::milliseconds(25);
constexpr float planted_us = 25'000;

/// The CPU backend, with a sleep planted in each update, or one behind the last layer's update,
/// where no span is.
class PlantedBackend final : public Backend {
public:
    PlantedBackend(std::unique_ptr<Backend> backend, Plant plant, std::size_t updates,
                   int latency = 0)
        : backend_(std::move(backend)),
          plant_(plant),
          updates_(updates),
          marks_(backend_->marks(), latency) {}

    [[nodiscard]] const DeviceInfo& info() const noexcept override { return backend_->info(); }
    [[nodiscard]] MarkSource& marks() noexcept override { return marks_; }
    [[nodiscard]] std::unique_ptr<Buffer> allocate(std::size_t floats) override {
        return backend_->allocate(floats);
    }
    void require(Precision precision) const override { backend_->require(precision); }
    [[nodiscard]] std::size_t estimate_bytes(const Network& network,
                                             const CompileOptions& options) const override {
        return backend_->estimate_bytes(network, options);
    }
    [[nodiscard]] std::unique_ptr<LayerOps> compile(const Network& network,
                                                    const CompileOptions& options,
                                                    Recorder& recorder) override {
        return backend_->compile(network, options, recorder);
    }
    void update(const OptimizerStep& step, const OptimizerSlices& slices) override {
        if (plant_ == Plant::inside_updates) {
            std::this_thread::sleep_for(planted);
        }
        backend_->update(step, slices);
        updated_ = (updated_ + 1) % updates_;
        marks_.sleep_behind_next = plant_ == Plant::behind_updates && updated_ == 0;
    }
    [[nodiscard]] std::uint64_t digest(DeviceSpan values) override {
        return backend_->digest(values);
    }

private:
    class Marks final : public MarkSource {
    public:
        Marks(MarkSource& marks, int latency) : marks_(marks), latency_(latency) {}
        [[nodiscard]] Mark mark() noexcept override {
            behind_ = std::exchange(sleep_behind_next, false);
            return marks_.mark();
        }
        [[nodiscard]] std::int64_t nanoseconds(Mark mark) const noexcept override {
            return marks_.nanoseconds(mark);
        }
        [[nodiscard]] int latency() const noexcept override { return latency_; }
        /// Asked right behind the mark that ends a span.
        bool lost_processor() noexcept override {
            if (std::exchange(behind_, false)) {
                std::this_thread::sleep_for(planted);
            }
            return marks_.lost_processor();
        }
        bool sleep_behind_next = false;

    private:
        MarkSource& marks_;
        int latency_;
        bool behind_ = false;
    };

    std::unique_ptr<Backend> backend_;
    Plant plant_;
    std::size_t updates_;  // in one iteration
    std::size_t updated_ = 0;
    Marks marks_;
};

struct Settings {
    std::int64_t batch = 4;
    std::int64_t iterations = 5;
    bool overlap = true;
    ProfilePlan profile{};
    std::size_t bucket_floats = 4096;  // several buckets even here
    Plant plant = Plant::nothing;
    std::optional<Injection> injection{};
};

/// LeNet-5 on random images, its parameters after training.
class TrainedRun {
public:
    TrainedRun(const Communicator& world, const Settings& settings)
        : network_(make_network("lenet5", {.classes = 10})),
          backend_(std::make_unique<PlantedBackend>(cpu::make_backend({.threads = 1}, RankMap{}),
                                                    settings.plant, network_.layers().size())),
          collective_(cpu::make_collective(world, {.overlap = settings.overlap})),
          source_(make_synthetic_source(network_.input(), network_.classes(), settings.batch,
                                        {world.rank(), world.size()}, 5)) {
        TrainerOptions options;
        options.iterations = settings.iterations;
        options.bucket_floats = settings.bucket_floats;
        options.profile = settings.profile;
        options.injection = settings.injection;
        options.optimizer.weight_decay = 0.0005F;
        options.optimizer.gradient_scale = 1.0F / static_cast<float>(world.size());
        options.learning_rate.base = 0.02;
        options.compile.batch = settings.batch;
        trainer_.emplace(network_, *backend_, *collective_, world, *source_, options);
        trainer_->run(accounts);
    }
    [[nodiscard]] std::vector<float> parameters() {
        std::vector<float> all;
        for (const Parameter& parameter : network_.parameters()) {
            std::vector<float> values(static_cast<std::size_t>(parameter.elements()));
            trainer_->ops().export_parameter(parameter.id, values);
            all.insert(all.end(), values.begin(), values.end());
        }
        return all;
    }
    [[nodiscard]] const Trainer& trainer() const { return *trainer_; }

    Accounts accounts;

private:
    Network network_;
    std::unique_ptr<Backend> backend_;
    std::unique_ptr<Collective> collective_;
    std::unique_ptr<BatchSource> source_;
    std::optional<Trainer> trainer_;
};

/// One rank's batches end after so many.
class EndingSource final : public BatchSource {
public:
    EndingSource(std::unique_ptr<BatchSource> source, std::int64_t batches)
        : source_(std::move(source)), left_(batches) {}
    const HostBatch& next() override {
        if (left_-- == 0) {
            throw Error(ExitCode::bad_data, "a bad image");
        }
        return source_->next();
    }
    void seek(std::int64_t batch) override { source_->seek(batch); }
    std::int64_t iterations_per_epoch() const noexcept override { return 0; }
    std::int64_t skipped() const noexcept override { return 0; }

private:
    std::unique_ptr<BatchSource> source_;
    std::int64_t left_;
};

double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
    double difference = 0;
    double norm = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
        norm += std::pow(static_cast<double>(b[i]), 2);
    }
    return std::sqrt(difference / norm);
}

TEST(Training, ManyRanksEqualOneRankWithTheWholeBatch) {
    const Communicator world = Communicator::world();
    const Communicator alone;
    for (const bool overlap : {true, false}) {
        TrainedRun together(world, {.batch = 4, .overlap = overlap});
        TrainedRun single(alone, {.batch = 4 * world.size()});
        EXPECT_LE(relative_difference(together.parameters(), single.parameters()), 1e-5)
            << "overlap " << overlap;
    }
}

TEST(Training, WhatOneRankCannotDoAllRanksKnowOfAndMayTrainAgain) {
    const Communicator world = Communicator::world();
    const int victim = world.size() - 1;
    const Network network = make_network("lenet5", {.classes = 10});
    for (const bool overlap : {true, false}) {
        const auto backend = cpu::make_backend({.threads = 1}, RankMap{});
        const auto collective = cpu::make_collective(world, {.overlap = overlap});
        EndingSource source(make_synthetic_source(network.input(), network.classes(), 4,
                                                  {world.rank(), world.size()}, 5),
                            world.rank() == victim ? 3 : 1'000'000);
        TrainerOptions options;
        options.iterations = 8;
        options.bucket_floats = 4096;
        options.compile.batch = 4;
        Trainer trainer(network, *backend, *collective, world, source, options);
        Accounts accounts;
        try {
            trainer.run(accounts);
            FAIL() << "trained on no batch";
        } catch (const AgreedError& error) {
            EXPECT_EQ(error.code(), ExitCode::bad_data);
            EXPECT_EQ(error.met_here(), world.rank() == victim);
        }
        EXPECT_EQ(trainer.iterations_done(), 3);
    }
    TrainedRun again(world, {.iterations = 5});
    EXPECT_EQ(again.accounts.losses.size(), 5U);
}

/// Sums through MPI and tells of votes late, as GPUs do.
class LateCollective final : public Collective {
public:
    explicit LateCollective(std::unique_ptr<Collective> collective)
        : collective_(std::move(collective)) {}
    [[nodiscard]] const char* name() const noexcept override { return collective_->name(); }
    [[nodiscard]] Votes votes() const noexcept override { return Votes::late; }
    void send_vote(DeviceSpan vote, std::size_t slot) override {
        place_ = vote.data;
        slot_ = slot;
    }
    [[nodiscard]] float vote(std::size_t slot) const override {
        if (slot == slot_) {
            arrive();
        }
        return received_.at(slot);
    }
    void start(BucketId bucket, DeviceSpan values, BucketSpan& span) override {
        if (under_way_ && place_ >= values.data && place_ < values.data + values.size) {
            arrive();  // sums and copies are in one stream
        }
        collective_->start(bucket, values, span);
    }
    void join() override {
        collective_->join();
        under_way_ = true;
    }

private:
    // As late as it may: what changes the number before is seen.
    void arrive() const {
        if (std::exchange(under_way_, false)) {
            received_.at(slot_) = *place_;
        }
    }

    std::unique_ptr<Collective> collective_;
    float* place_ = nullptr;
    std::size_t slot_ = 0;
    mutable bool under_way_ = false;
    mutable std::array<float, vote_slots> received_{};
};

// The ranks go on for two iterations before they hear of it, or to their last one.
TEST(Training, VotesThatComeLateEndTheTrainingOfAllRanksWhereOneFailed) {
    const Communicator world = Communicator::world();
    const int victim = world.size() - 1;
    const Network network = make_network("lenet5", {.classes = 10});
    for (const std::int64_t iterations : {8, 5}) {
        for (const bool overlap : {true, false}) {
            PlantedBackend backend(cpu::make_backend({.threads = 1}, RankMap{}), Plant::nothing,
                                   network.layers().size(), 2);
            LateCollective collective(cpu::make_collective(world, {.overlap = overlap}));
            EndingSource source(make_synthetic_source(network.input(), network.classes(), 4,
                                                      {world.rank(), world.size()}, 5),
                                world.rank() == victim ? 3 : 1'000'000);
            TrainerOptions options;
            options.iterations = iterations;
            options.bucket_floats = 4096;
            options.digest_every = 1;  // the replicas stay equal while the failure is under way
            options.compile.batch = 4;
            Trainer trainer(network, backend, collective, world, source, options);
            Accounts accounts;
            try {
                trainer.run(accounts);
                FAIL() << "trained on no batch";
            } catch (const AgreedError& error) {
                EXPECT_EQ(error.code(), ExitCode::bad_data);
                EXPECT_EQ(error.met_here(), world.rank() == victim);
            }
            EXPECT_EQ(trainer.iterations_done(), std::min<std::int64_t>(iterations, 6));
            EXPECT_EQ(accounts.losses.size(), 3U);
            if (world.rank() == victim) {
                EXPECT_EQ(trainer.whereabouts().place().iteration, 3);
                EXPECT_EQ(trainer.whereabouts().place().doing, Doing::input);
            }
        }
    }
    TrainedRun again(world, {.iterations = 5});
    EXPECT_EQ(again.accounts.losses.size(), 5U);
}

TEST(Training, TheSameSeedGivesTheSameBits) {
    const Communicator world = Communicator::world();
    TrainedRun first(world, {.iterations = 10});
    TrainedRun second(world, {.iterations = 10});
    EXPECT_EQ(first.accounts.losses, second.accounts.losses);
    EXPECT_EQ(first.parameters(), second.parameters());
}

TEST(Training, OverlapChangesTimesAndNotResults) {
    const Communicator world = Communicator::world();
    TrainedRun on(world, {.overlap = true});
    TrainedRun off(world, {.overlap = false});
    EXPECT_EQ(on.parameters(), off.parameters());
    if (world.size() > 1) {
        for (const Account& account : off.accounts.accounts) {
            EXPECT_FLOAT_EQ(account.allreduce_hidden, 0.0F);
        }
    }
}

TEST(Training, ProfilingDoesNotChangeResults) {
    const Communicator world = Communicator::world();
    TrainedRun profiled(world, {.profile = {.level = Level::op}});
    TrainedRun silent(world, {.profile = {.level = Level::off}});
    EXPECT_EQ(profiled.parameters(), silent.parameters());
}

TEST(Training, TheLossFalls) {
    TrainedRun run(Communicator::world(), {.batch = 16, .iterations = 60});
    EXPECT_LT(run.accounts.losses.back(), 0.7 * run.accounts.losses.front());
}

TEST(Training, EveryLayerAndActivityIsTimedAndNothingTwice) {
    TrainedRun run(Communicator::world(), {.iterations = 20});
    for (const Account& account : run.accounts.accounts) {
        double named = account.unaccounted;
        for (const float us : account.layer_time) {
            named += us;
        }
        for (const float us : account.activity_time) {
            named += us;
        }
        EXPECT_NEAR(named, account.iteration_time, 1e-5 * account.iteration_time);
        EXPECT_GE(account.unaccounted, 0.0F)
            << "activities " << ::testing::PrintToString(account.activity_time) << " layers "
            << ::testing::PrintToString(account.layer_time) << " starts "
            << ::testing::PrintToString(account.layer_start);
    }
}

TEST(Training, LayersOfOnePassAbut) {
    TrainedRun run(Communicator::world(), {.iterations = 20, .bucket_floats = 1U << 24U});
    ASSERT_EQ(run.trainer().buckets().size(), 1U);  // which starts behind the last layer
    for (const Account& account : run.accounts.accounts) {
        const float rounding = 8 * std::numeric_limits<float>::epsilon() * account.iteration_time;
        const std::size_t layers = account.layer_time.size() / phases.size();
        ASSERT_GT(layers, 2U);
        for (const Phase phase : phases) {
            for (std::size_t i = 1; i < layers; ++i) {
                const bool is_forwards = phase != Phase::backward;
                const std::size_t one =
                    (is_forwards ? i - 1 : layers - i) * phases.size() + index(phase);
                const std::size_t next =
                    (is_forwards ? i : layers - 1 - i) * phases.size() + index(phase);
                EXPECT_NEAR(account.layer_start[next],
                            account.layer_start[one] + account.layer_time[one], rounding);
            }
        }
    }
}

/// The times of one kind over the iterations of a run.
std::vector<float> times(const TrainedRun& run, const std::function<float(const Account&)>& of) {
    std::vector<float> all;
    for (const Account& account : run.accounts.accounts) {
        all.push_back(of(account));
    }
    return all;
}

float update_us(const Account& account) {
    float sum = 0;
    for (std::size_t cell = index(Phase::update); cell < account.layer_time.size();
         cell += phases.size()) {
        sum += account.layer_time[cell];
    }
    return sum;
}

float unaccounted_us(const Account& account) {
    return account.unaccounted;
}

// In some iteration the machine may be busy with others: the extreme one tells.
TEST(Training, TimeSpentInsideALayerIsThatLayers) {
    TrainedRun run(Communicator::world(), {.iterations = 6, .plant = Plant::inside_updates});
    EXPECT_GE(std::ranges::min(times(run, update_us)), 5 * planted_us);  // one in each layer
    EXPECT_LT(std::ranges::min(times(run, unaccounted_us)), planted_us);
}

TEST(Training, TimeSpentOutsideEverySpanIsUnaccounted) {
    TrainedRun run(Communicator::world(), {.iterations = 6, .plant = Plant::behind_updates});
    EXPECT_LT(std::ranges::min(times(run, update_us)), planted_us);
    EXPECT_GE(std::ranges::max(times(run, unaccounted_us)), planted_us);
}

/// The shortest that a layer's phase took in a run: what disturbed the others did not disturb it.
float shortest_us(const TrainedRun& run, std::size_t layer, Phase phase) {
    return std::ranges::min(times(run, [&](const Account& account) {
        return account.layer_time[layer * phases.size() + index(phase)];
    }));
}

constexpr LayerId conv2{1};

/// Slows conv2 on the last rank.
std::optional<Injection> injected(const Communicator& world, double percent,
                                  std::optional<Phase> phase) {
    return world.rank() == world.size() - 1 ? std::optional(Injection{conv2, percent, phase})
                                            : std::nullopt;
}

// Each update sleeps, so that they are alike but for what is injected.
TEST(Training, AnInjectionMakesItsLayerTakeThePercentageLonger) {
    const Communicator world = Communicator::world();
    const auto injection = injected(world, 200, Phase::update);
    TrainedRun run(world,
                   {.iterations = 6, .plant = Plant::inside_updates, .injection = injection});
    for (std::size_t layer = 0; layer < 5; ++layer) {
        const double ratio = shortest_us(run, layer, Phase::update) /
                             shortest_us(run, conv2.index() + 1, Phase::update);
        EXPECT_NEAR(ratio, injection && layer == conv2.index() ? 3 : 1, 0.5) << layer;
    }
}

/// What each rank has, [rank][layer][phase].
std::vector<float> shortest_of_ranks_us(const Communicator& world, const TrainedRun& run) {
    constexpr std::size_t cells = 5 * phases.size();
    std::vector<float> all(static_cast<std::size_t>(world.size()) * cells);
    for (std::size_t cell = 0; cell < cells; ++cell) {
        all[static_cast<std::size_t>(world.rank()) * cells + cell] =
            shortest_us(run, cell / phases.size(), phases.at(cell % phases.size()));
    }
    world.all_reduce_sum(all);
    return all;
}

TEST(Training, AnInjectionSlowsOneLayerOnOneRankInTheChosenPhasesAndChangesNoResult) {
    const Communicator world = Communicator::world();
    if (world.size() == 1) {
        GTEST_SKIP() << "one rank is compared with no other";
    }
    TrainedRun clean(world, {.batch = 16, .iterations = 30});
    for (const std::optional<Phase> slowed :
         {std::optional(Phase::forward), std::optional(Phase::backward), std::optional<Phase>()}) {
        const auto injection = injected(world, 900, slowed);
        TrainedRun run(world, {.batch = 16, .iterations = 30, .injection = injection});
        EXPECT_EQ(run.parameters(), clean.parameters());
        const std::vector<float> shortest_us = shortest_of_ranks_us(world, run);
        const std::size_t cells = shortest_us.size() / static_cast<std::size_t>(world.size());
        for (std::size_t cell = 0; cell < cells; ++cell) {  // the last rank against the first
            const double ratio = shortest_us[shortest_us.size() - cells + cell] / shortest_us[cell];
            const Phase phase = phases.at(cell % phases.size());
            const bool is_slowed =
                cell / phases.size() == conv2.index() && slowed.value_or(phase) == phase;
            EXPECT_EQ(ratio > 4, is_slowed) << "layer " << cell / phases.size() << ' '
                                            << phase_names.at(index(phase)) << ' ' << ratio;
        }
    }
}

TEST(Training, HundredsOfBucketsLoseNoSpan) {
    TrainedRun run(Communicator::world(), {.iterations = 20, .bucket_floats = 256});
    EXPECT_GT(run.trainer().buckets().size(), 200U);
    EXPECT_EQ(run.trainer().recorder().dropped(), 0);
    for (const Account& account : run.accounts.accounts) {
        EXPECT_FALSE(std::isnan(account.layer_time.back()));  // the last update
    }
}

TEST(Training, WindowsAddUpToWhatAnotherClockSays) {
    TrainedRun run(Communicator::world(), {.iterations = 200});
    const Trainer::WallClock& wall = run.trainer().wall_clock();
    const double expected_us = wall.elapsed_us - wall.paused_us;
    // Outside the windows lies only the way from the loop's start to the first mark.
    EXPECT_NEAR(run.accounts.windows_us, expected_us, 0.001 * expected_us + 200);
}

TEST(Training, NextIterationStartsWhereTheLastEnded) {
    TrainedRun run(Communicator::world(), {.iterations = 20});
    for (std::size_t i = 1; i < run.accounts.accounts.size(); ++i) {
        const Account& before = run.accounts.accounts[i - 1];
        const double end_us = static_cast<double>(before.start_ns) / 1e3 + before.iteration_time;
        EXPECT_NEAR(static_cast<double>(run.accounts.accounts[i].start_ns) / 1e3, end_us, 1.0);
    }
}

}  // namespace
}  // namespace layerledger
