#include <cmath>

#include "conformance/harness.hpp"

namespace layerledger::conformance {
namespace {

// Logits are the image itself: an identity matrix stands between them.
class LossConformance : public Conformance {
protected:
    static constexpr std::int64_t classes = 4;

    std::unique_ptr<Harness> identity(std::int64_t batch, std::int64_t topk) {
        NetworkBuilder net("loss", {classes, 1, 1}, classes);
        net.layer("output");
        net.softmax_loss(net.fully_connected(net.input(), {.outputs = classes}));
        auto harness = std::make_unique<Harness>(
            *backend_, std::move(net).build(),
            CompileOptions{.batch = batch, .topk = topk, .gradients_of_input = true});
        std::vector<float> weights(classes * classes);
        for (std::size_t i = 0; i < classes; ++i) {
            weights[i * classes + i] = 1.0F;
        }
        harness->ops().import_parameter(ParameterId{0}, weights);
        harness->ops().import_parameter(ParameterId{1}, std::vector<float>(classes));
        return harness;
    }

    static BatchMetrics metrics_of(Harness& harness, std::vector<float> scores,
                                   std::vector<std::int32_t> labels, std::int64_t valid) {
        harness.ops().load({std::move(scores), std::move(labels), valid});
        harness.ops().forward(LayerId{0}, Mode::training);
        harness.ops().send_metrics(0);
        return harness.ops().metrics(0);
    }
};

TEST_P(LossConformance, SumsOverTheBatch) {
    const auto harness = identity(2, 2);
    // Equal scores: -log(1/4) each. The lowest index wins ties, so label 0 leads and label 1 is
    // second.
    const BatchMetrics sums = metrics_of(*harness, std::vector<float>(8, 1.0F), {0, 1}, 2);
    EXPECT_NEAR(sums.loss, 2 * std::log(4.0), 1e-6);
    EXPECT_EQ(sums.top1, 1);
    EXPECT_EQ(sums.topk, 2);
    EXPECT_EQ(sums.images, 2);
}

TEST_P(LossConformance, CountsTheKHighestScores) {
    const auto harness = identity(4, 2);
    const std::vector<float> scores{4, 3, 2, 1, 4, 3, 2, 1, 4, 3, 2, 1, 4, 3, 2, 1};
    const BatchMetrics sums = metrics_of(*harness, scores, {0, 1, 2, 3}, 4);
    EXPECT_EQ(sums.top1, 1);
    EXPECT_EQ(sums.topk, 2);
}

TEST_P(LossConformance, LeavesOutImagesThatOnlyFillTheBatch) {
    const auto harness = identity(2, 1);
    const BatchMetrics sums = metrics_of(*harness, {9, 0, 0, 0, 0, 0, 0, 9}, {0, 0}, 1);
    EXPECT_NEAR(sums.loss, std::log1p(3 * std::exp(-9.0)), 1e-7);
    EXPECT_EQ(sums.top1, 1);
    EXPECT_EQ(sums.images, 1);
}

TEST_P(LossConformance, SurvivesLargeScores) {
    const auto harness = identity(1, 1);
    const BatchMetrics sums = metrics_of(*harness, {1000, 0, -1000, 999}, {3}, 1);
    EXPECT_NEAR(sums.loss, std::log1p(std::exp(1.0)), 1e-4);
}

TEST_P(LossConformance, GradientIsProbabilityMinusLabelOverBatch) {
    const auto harness = identity(2, 1);
    static_cast<void>(metrics_of(*harness, std::vector<float>(8, 0.0F), {0, 3}, 2));
    harness->ops().backward(LayerId{0});
    const std::vector<double> wanted{-.375, .125, .125, .125, .125, .125, .125, -.375};
    EXPECT_LE(relative_error(harness->ops().output_gradient(OpId{0}), wanted), 1e-6);
}

TEST_P(LossConformance, ADivergedNetworkIsNeverRight) {
    const auto harness = identity(1, 1);
    const float nan = std::nanf("");
    const BatchMetrics sums = metrics_of(*harness, {nan, nan, nan, nan}, {0}, 1);
    EXPECT_TRUE(std::isnan(sums.loss));
    EXPECT_EQ(sums.top1, 0);
}

TEST_P(LossConformance, RefusesALabelThatTheNetworkDoesNotHave) {
    const auto harness = identity(1, 1);
    EXPECT_THROW(metrics_of(*harness, std::vector<float>(4), {4}, 1), Error);
    EXPECT_THROW(metrics_of(*harness, std::vector<float>(4), {-1}, 1), Error);
}

INSTANTIATE_TEST_SUITE_P(Backends, LossConformance, on_every_backend(), backend_name);

}  // namespace
}  // namespace layerledger::conformance
