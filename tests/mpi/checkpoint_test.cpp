// A training that is cut in two by a captured state, on the CPU backend.
#include <gtest/gtest.h>

#include <optional>

#include "layerledger/backend/cpu.hpp"
#include "layerledger/network/builder.hpp"
#include "layerledger/train/trainer.hpp"
#include "layerledger/train/validation.hpp"

namespace layerledger {
namespace {

class Losses final : public IterationObserver {
public:
    void iteration_finished(const IterationReport& report) override {
        values.push_back(report.metrics.loss);
    }
    std::vector<double> values;
};

/// Everything that has a state: batch norm, dropout, layouts that differ from the network's dims.
Network with_all_states() {
    NetworkBuilder net("states", {3, 12, 12}, 5);
    net.layer("conv1");
    OpId x = net.convolution(net.input(), {.output_channels = 20, .window = {3}, .bias = false});
    x = net.batch_norm(x, {.relu = true});
    x = net.max_pool(x, {2, 2});
    net.layer("fc1");
    x = net.dropout(net.fully_connected(x, {.outputs = 33, .relu = true}), 0.5F);
    net.layer("output");
    net.softmax_loss(net.fully_connected(x, {.outputs = 5}));
    return std::move(net).build();
}

class Job {
public:
    Job(const Communicator& world, OptimizerKind optimizer, std::int64_t iterations)
        : world_(world),
          network_(with_all_states()),
          backend_(cpu::make_backend({.threads = 1}, RankMap{})),
          collective_(cpu::make_collective(world, {})),
          source_(make_synthetic_source(network_.input(), network_.classes(), 4,
                                        {world.rank(), world.size()}, 5, 3)) {
        TrainerOptions options;
        options.iterations = iterations;
        options.bucket_floats = 2048;
        options.optimizer.kind = optimizer;
        options.optimizer.weight_decay = 0.0005F;
        options.optimizer.gradient_scale = 1.0F / static_cast<float>(world.size());
        options.learning_rate.base = optimizer == OptimizerKind::adadelta ? 1.0 : 0.02;
        options.compile.batch = 4;
        options.compile.seed = static_cast<std::uint64_t>(world.rank()) + 7;
        trainer_.emplace(network_, *backend_, *collective_, world, *source_, options);
    }
    std::vector<double> run() {
        Losses losses;
        trainer_->run(losses);
        return losses.values;
    }
    /// The state on every rank.
    TrainerState state() { return share(trainer_->capture(), world_); }
    Trainer& trainer() { return *trainer_; }
    const Network& network() const { return network_; }

private:
    const Communicator& world_;
    Network network_;
    std::unique_ptr<Backend> backend_;
    std::unique_ptr<Collective> collective_;
    std::unique_ptr<BatchSource> source_;
    std::optional<Trainer> trainer_;
};

void expect_equal(const TrainerState& a, const TrainerState& b) {
    EXPECT_EQ(a.iteration, b.iteration);
    EXPECT_EQ(a.parameters, b.parameters);
    EXPECT_EQ(a.optimizer, b.optimizer);
    EXPECT_EQ(a.statistics, b.statistics);
    EXPECT_EQ(a.random, b.random);
}

TEST(Checkpoint, TwentyAndTwentyIterationsEqualForty) {
    const Communicator world = Communicator::world();
    for (const OptimizerKind optimizer : {OptimizerKind::sgd, OptimizerKind::momentum,
                                          OptimizerKind::adagrad, OptimizerKind::adadelta}) {
        Job whole(world, optimizer, 40);
        const std::vector<double> losses = whole.run();
        Job first(world, optimizer, 20);
        std::vector<double> cut = first.run();
        const TrainerState state = first.state();
        EXPECT_EQ(state.iteration, 20);
        EXPECT_EQ(state.statistics.size(), static_cast<std::size_t>(world.size()));
        Job second(world, optimizer, 40);
        second.trainer().restore(state);
        expect_equal(second.state(), state);
        const std::vector<double> rest = second.run();
        cut.insert(cut.end(), rest.begin(), rest.end());
        EXPECT_EQ(cut, losses) << "optimizer " << static_cast<int>(optimizer);
        expect_equal(second.state(), whole.state());
    }
}

TEST(Checkpoint, TakingAStateChangesNothing) {
    const Communicator world = Communicator::world();
    Job job(world, OptimizerKind::momentum, 10);
    job.run();
    const TrainerState once = job.state();
    expect_equal(job.state(), once);
}

TEST(Checkpoint, WhatIsNotThereKeepsItsInitialValues) {
    const Communicator world = Communicator::world();
    Job trained(world, OptimizerKind::momentum, 10);
    trained.run();
    TrainerState state = trained.state();
    Job fresh(world, OptimizerKind::momentum, 10);
    const TrainerState initial = fresh.state();
    state.parameters[0].clear();
    state.optimizer[0][1].clear();
    fresh.trainer().restore(state);
    const TrainerState mixed = fresh.state();
    EXPECT_EQ(mixed.parameters[0], initial.parameters[0]);
    EXPECT_EQ(mixed.parameters[1], state.parameters[1]);
    EXPECT_EQ(mixed.optimizer[0][0], state.optimizer[0][0]);
    EXPECT_EQ(mixed.optimizer[0][1], initial.optimizer[0][1]);
}

TEST(Checkpoint, RefusesTheStateOfAnotherNetwork) {
    const Communicator world = Communicator::world();
    Job job(world, OptimizerKind::momentum, 10);
    TrainerState state = job.state();
    state.parameters[0].push_back(1);
    EXPECT_THROW(job.trainer().restore(state), Error);
}

/// Two validation batches of which the second holds one image on rank 0 alone.
class OddValidation final : public ValidationSource {
public:
    OddValidation(const Network& network, int rank) : rank_(rank) {
        batch_.images.assign(static_cast<std::size_t>(4 * network.input().elements()), 0.5F);
        batch_.labels.assign(4, 1);
    }
    std::int64_t batches() const noexcept override { return 2; }
    const HostBatch& next() override {
        batch_.valid = next_++ == 0 ? 4 : (rank_ == 0 ? 1 : 0);
        return batch_;
    }
    std::int64_t skipped() const noexcept override { return 0; }

private:
    int rank_;
    int next_ = 0;
    HostBatch batch_;
};

TEST(Validation, CountsTheLastIncompleteBatchOnceAndLeavesTrainingItsStatistics) {
    const Communicator world = Communicator::world();
    Job job(world, OptimizerKind::momentum, 10);
    job.run();
    const TrainerState before = job.state();
    OddValidation source(job.network(), world.rank());
    const Validation found = validate(job.network(), job.trainer().ops(), source, world);
    EXPECT_EQ(found.images, 4 * world.size() + 1);
    EXPECT_TRUE(found.top1 == 0.0 || found.top1 == 1.0);  // all images are the same
    expect_equal(job.state(), before);
}

}  // namespace
}  // namespace layerledger
