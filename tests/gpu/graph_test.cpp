// Training by CUDA graphs beside the same training launch by launch. Skips where there is no GPU.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "layerledger/backend/cuda.hpp"
#include "layerledger/data/batch_source.hpp"
#include "layerledger/network/builder.hpp"
#include "layerledger/train/trainer.hpp"

namespace layerledger {
namespace {

class Reports final : public IterationObserver {
public:
    void iteration_finished(const IterationReport& report) override { all.push_back(report); }
    std::vector<IterationReport> all;
};

// What has something of its own in every pass: dropout, statistics of batches, a learning rate.
Network network() {
    NetworkBuilder net("graphs", {3, 16, 16}, 10);
    net.layer("conv1");
    OpId x = net.convolution(net.input(), {.output_channels = 32, .window = {.kernel = 3}});
    x = net.batch_norm(x, {.relu = true});
    x = net.max_pool(x, {.kernel = 2, .stride = 2});
    net.layer("fc1");
    x = net.fully_connected(net.dropout(x, 0.5F), {.outputs = 64, .relu = true});
    net.layer("output");
    net.softmax_loss(net.fully_connected(net.dropout(x, 0.5F), {.outputs = 10}));
    return std::move(net).build();
}

struct Training {
    std::vector<IterationReport> reports;
    std::vector<float> parameters;
};

Training train(Backend& backend, Precision precision, Level level, bool graph) {
    const Network trained = network();
    const Communicator alone;
    const auto collective = cuda::make_collective(backend, RankMap{}, alone, {});
    const auto source = make_synthetic_source(trained.input(), trained.classes(), 32, {0, 1}, 5);
    TrainerOptions options;
    options.iterations = 40;
    options.iterations_per_epoch = 1;
    options.digest_every = 7;
    options.profile.level = level;
    options.profile.warmup = 0;
    options.profile.overhead_check = true;  // the levels take turns
    options.learning_rate = {.decay = DecayKind::cosine, .base = 0.05, .total = 40};
    options.compile.batch = 32;
    options.compile.precision = precision;
    options.graph = graph;
    Trainer trainer(trained, backend, *collective, alone, *source, options);
    Reports observer;
    trainer.run(observer);
    Training run{observer.all, {}};
    for (const Parameter& parameter : trained.parameters()) {
        std::vector<float> values(static_cast<std::size_t>(parameter.elements()));
        trainer.ops().export_parameter(parameter.id, values);
        run.parameters.insert(run.parameters.end(), values.begin(), values.end());
    }
    EXPECT_EQ(trainer.recorder().dropped(), 0);
    return run;
}

class GpuGraph : public ::testing::Test {
protected:
    void SetUp() override {
        if (const std::string why = cuda::why_unavailable(); !why.empty()) {
            GTEST_SKIP() << why;
        }
        backend_ = cuda::make_backend({.deterministic = true}, RankMap{});
    }
    std::unique_ptr<Backend> backend_;
};

TEST_F(GpuGraph, TrainsBitForBitAsLaunchByLaunch) {
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
        const Training one_by_one = train(*backend_, precision, Level::layer, false);
        const Training as_graph = train(*backend_, precision, Level::layer, true);
        EXPECT_EQ(as_graph.parameters, one_by_one.parameters);
        ASSERT_EQ(as_graph.reports.size(), one_by_one.reports.size());
        for (std::size_t i = 0; i < as_graph.reports.size(); ++i) {
            EXPECT_EQ(as_graph.reports[i].metrics.loss, one_by_one.reports[i].metrics.loss) << i;
        }
    }
}

TEST_F(GpuGraph, EveryLayerIsTimedAndTheAccountCloses) {
    for (const Level level : {Level::layer, Level::op}) {
        const Training run = train(*backend_, Precision::fp32, level, true);
        for (const IterationReport& report : run.reports) {
            if (report.level == Level::off) {
                continue;
            }
            const Account& account = report.account;
            double sum_us = account.unaccounted;
            for (const float us : account.layer_time) {
                EXPECT_GT(us, 0.0F) << report.iteration;
                sum_us += us;
            }
            for (const float us : account.activity_time) {
                sum_us += us;
            }
            EXPECT_NEAR(sum_us, account.iteration_time, 1e-4 * account.iteration_time);
            EXPECT_NEAR(account.unaccounted, 0.0F, 0.01F);
        }
    }
}

}  // namespace
}  // namespace layerledger
