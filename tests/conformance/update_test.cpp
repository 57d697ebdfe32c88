#include <array>
#include <cmath>

#include "conformance/harness.hpp"

namespace layerledger::conformance {
namespace {

class UpdateConformance : public Conformance {
protected:
    // Runs two updates on one weight among padding and returns weight, state0, state1.
    std::array<float, 3> after_two(const OptimizerStep& step, float weight, float gradient) {
        constexpr std::size_t size = 48;
        constexpr std::size_t place = 17;
        const auto make = [&](float value) {
            auto buffer = backend_->allocate(size);
            buffer->upload(place, std::array{value});
            return buffer;
        };
        const auto w = make(weight);
        const auto g = make(gradient);
        const auto s = make(0);
        const auto u = make(0);
        for (int i = 0; i < 2; ++i) {
            backend_->update(step, {w->span(), g->span(), s->span(), u->span()});
        }
        std::array<float, 3> result{};
        w->download(place, std::span(&result[0], 1));
        s->download(place, std::span(&result[1], 1));
        u->download(place, std::span(&result[2], 1));

        std::vector<float> all(size);
        for (const auto* buffer : {&w, &s, &u}) {
            (*buffer)->download(0, all);
            all[place] = 0;
            EXPECT_EQ(all, std::vector<float>(size)) << "padding stays zero";
        }
        return result;
    }
};

// g = 0.5 * 4 + 0.1 * w throughout.
OptimizerStep step_of(OptimizerKind kind) {
    OptimizerStep step;
    step.kind = kind;
    step.learning_rate = 0.1F;
    step.momentum = 0.9F;
    step.weight_decay = 0.1F;
    step.gradient_scale = 0.5F;
    return step;
}

TEST_P(UpdateConformance, Sgd) {
    // g = 2.1, w = 0.79; g = 2.079, w = 0.5821
    EXPECT_NEAR(after_two(step_of(OptimizerKind::sgd), 1, 4)[0], 0.5821, 1e-6);
}

TEST_P(UpdateConformance, Momentum) {
    // v = 2.1, w = 0.79; v = 1.89 + 2.079 = 3.969, w = 0.3931
    const auto [w, v, none] = after_two(step_of(OptimizerKind::momentum), 1, 4);
    EXPECT_NEAR(w, 0.3931, 1e-6);
    EXPECT_NEAR(v, 3.969, 1e-6);
}

TEST_P(UpdateConformance, Adagrad) {
    // s = 4.41, w = 1 - 0.1 = 0.9; g = 2.09, s = 8.7781, w = 0.9 - 0.209 / sqrt(8.7781)
    const auto [w, s, none] = after_two(step_of(OptimizerKind::adagrad), 1, 4);
    EXPECT_NEAR(s, 8.7781, 1e-5);
    EXPECT_NEAR(w, 0.9 - 0.209 / std::sqrt(8.7781), 1e-6);
}

TEST_P(UpdateConformance, Adadelta) {
    double w = 1;
    double s = 0;
    double u = 0;
    const double epsilon = 1e-6;
    for (int i = 0; i < 2; ++i) {
        const double g = 2 + 0.1 * w;
        s = 0.9 * s + 0.1 * g * g;
        const double d = std::sqrt(u + epsilon) / std::sqrt(s + epsilon) * g;
        u = 0.9 * u + 0.1 * d * d;
        w -= 0.1 * d;
    }
    const auto got = after_two(step_of(OptimizerKind::adadelta), 1, 4);
    EXPECT_NEAR(got[0], w, 1e-6);
    EXPECT_NEAR(got[1], s, 1e-5);
    EXPECT_NEAR(got[2], u, 1e-9);
}

TEST_P(UpdateConformance, TouchesNothingOutsideItsSlices) {
    const auto w = backend_->allocate(64);
    const auto g = backend_->allocate(64);
    g->upload(0, std::vector<float>(64, 1.0F));
    OptimizerStep step;
    step.kind = OptimizerKind::sgd;
    step.learning_rate = 1.0F;
    backend_->update(step, {w->span().subspan(16, 32), g->span().subspan(16, 32), {}, {}});
    std::vector<float> wanted(64);
    std::fill_n(wanted.begin() + 16, 32, -1.0F);
    std::vector<float> got(64);
    w->download(0, got);
    EXPECT_EQ(got, wanted);
}

TEST_P(UpdateConformance, DigestSeesEveryBit) {
    const auto a = backend_->allocate(1000);
    const auto b = backend_->allocate(1000);
    EXPECT_EQ(backend_->digest(a->span()), backend_->digest(b->span()));
    b->upload(999, std::array{-0.0F});
    EXPECT_NE(backend_->digest(a->span()), backend_->digest(b->span()));
}

INSTANTIATE_TEST_SUITE_P(Backends, UpdateConformance, on_every_backend(), backend_name);

}  // namespace
}  // namespace layerledger::conformance
