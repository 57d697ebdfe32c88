// Ten iterations with each optimizer, and the first gradients, against PyTorch in double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "golden_networks.hpp"
#include "golden_values.hpp"
#include "layerledger/backend/cpu.hpp"
#include "layerledger/train/initialization.hpp"
#include "layerledger/train/trainer.hpp"

namespace layerledger {
namespace {

/// The one batch of generate.py, over and over.
class GoldenSource final : public BatchSource {
public:
    GoldenSource() {
        // The same generator as for parameters: a rectified weight with fan 6 has limit 1.
        Parameter images{.id = ParameterId{1000},
                         .op = OpId{0},
                         .name = "images",
                         .role = ParameterRole::weight,
                         .dims = {golden::batch, 3, 8, 8},
                         .fan_in = 6,
                         .fan_out = 0,
                         .rectified = true};
        batch_.images = initial_values(images, golden::seed);
        for (std::int32_t i = 0; i < golden::batch; ++i) {
            batch_.labels.push_back(i * 7 % static_cast<std::int32_t>(golden::classes));
        }
        batch_.valid = golden::batch;
    }
    const HostBatch& next() override { return batch_; }
    void seek(std::int64_t) override {}
    std::int64_t iterations_per_epoch() const noexcept override { return 0; }
    std::int64_t skipped() const noexcept override { return 0; }

private:
    HostBatch batch_;
};

class Losses final : public IterationObserver {
public:
    void iteration_finished(const IterationReport& report) override {
        values.push_back(report.metrics.loss / static_cast<double>(report.metrics.images));
    }
    std::vector<double> values;
};

OptimizerStep step_of(OptimizerKind kind) {
    return {.kind = kind, .momentum = 0.9F, .weight_decay = 0.001F, .rho = 0.9F, .epsilon = 1e-6F};
}

double rate_of(OptimizerKind kind) {
    switch (kind) {
        case OptimizerKind::sgd:
        case OptimizerKind::momentum: return 0.05;
        case OptimizerKind::adagrad: return 0.02;
        case OptimizerKind::adadelta: return 1.0;
    }
    return 0;
}

class GoldenRun {
public:
    GoldenRun(Network network, OptimizerKind kind, std::int64_t iterations)
        : network_(std::move(network)),
          backend_(cpu::make_backend({.threads = 1}, RankMap{})),
          collective_(cpu::make_collective(world_, {})) {
        TrainerOptions options;
        options.iterations = iterations;
        options.seed = golden::seed;
        options.optimizer = step_of(kind);
        options.learning_rate.base = rate_of(kind);
        options.compile.batch = golden::batch;
        options.compile.topk = 2;
        trainer_.emplace(network_, *backend_, *collective_, world_, source_, options);
        trainer_->run(losses_);
    }
    [[nodiscard]] const std::vector<double>& losses() const { return losses_.values; }
    [[nodiscard]] std::vector<float> gradient(const Parameter& parameter) {
        std::vector<float> values(static_cast<std::size_t>(parameter.elements()));
        trainer_->ops().export_gradient(parameter.id, values);
        return values;
    }
    [[nodiscard]] const Network& network() const { return network_; }

private:
    Network network_;
    std::unique_ptr<Backend> backend_;
    Communicator world_;
    std::unique_ptr<Collective> collective_;
    GoldenSource source_;
    Losses losses_;
    std::optional<Trainer> trainer_;
};

void expect_losses(Network network, OptimizerKind kind, std::span<const double> expected) {
    const GoldenRun run(std::move(network), kind, static_cast<std::int64_t>(expected.size()));
    ASSERT_EQ(run.losses().size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        // Rounding of single precision grows with every update.
        EXPECT_NEAR(run.losses()[i], expected[i], 2e-5 * static_cast<double>(i + 1)) << "step " << i;
    }
}

void expect_gradients(Network network, std::span<const double> norms,
                      std::span<const double> sums) {
    GoldenRun run(std::move(network), OptimizerKind::sgd, 1);
    ASSERT_EQ(run.network().parameters().size(), norms.size());
    for (const Parameter& parameter : run.network().parameters()) {
        double squares = 0;
        double sum = 0;
        const std::vector<float> gradient = run.gradient(parameter);
        for (std::size_t i = 0; i < gradient.size(); ++i) {
            squares += static_cast<double>(gradient[i]) * gradient[i];
            sum += gradient[i] * std::cos(static_cast<double>(i));
        }
        const double norm = norms[parameter.id.index()];
        EXPECT_NEAR(std::sqrt(squares), norm, 1e-5 * norm + 1e-7) << parameter.name;
        EXPECT_NEAR(sum, sums[parameter.id.index()], 1e-5 * norm + 1e-7) << parameter.name;
    }
}

using golden::plain;
using golden::residual;

TEST(Golden, PlainNetworkUnderEveryOptimizer) {
    expect_losses(plain(), OptimizerKind::sgd, golden::plain_sgd_losses);
    expect_losses(plain(), OptimizerKind::momentum, golden::plain_momentum_losses);
    expect_losses(plain(), OptimizerKind::adagrad, golden::plain_adagrad_losses);
    expect_losses(plain(), OptimizerKind::adadelta, golden::plain_adadelta_losses);
}

TEST(Golden, ResidualNetworkUnderEveryOptimizer) {
    expect_losses(residual(), OptimizerKind::sgd, golden::residual_sgd_losses);
    expect_losses(residual(), OptimizerKind::momentum, golden::residual_momentum_losses);
    expect_losses(residual(), OptimizerKind::adagrad, golden::residual_adagrad_losses);
    expect_losses(residual(), OptimizerKind::adadelta, golden::residual_adadelta_losses);
}

TEST(Golden, GradientsOfThePlainNetwork) {
    expect_gradients(plain(), golden::plain_gradient_norms, golden::plain_gradient_sums);
}

TEST(Golden, GradientsOfTheResidualNetwork) {
    expect_gradients(residual(), golden::residual_gradient_norms, golden::residual_gradient_sums);
}

}  // namespace
}  // namespace layerledger
