#include "update.hpp"

#include <cmath>

#include "layerledger/base/contract.hpp"

namespace layerledger::cpu {
namespace {

// Calls rule(i, g) for every element, where g is the gradient with scale and weight decay.
template <class Rule>
void for_each_gradient(const OptimizerStep& step, const OptimizerSlices& slices, const Rule& rule) {
    const float scale = step.gradient_scale;
    const float decay = step.weight_decay;
    const float* const w = slices.parameters.data;
    const float* const gradients = slices.gradients.data;
    const auto count = static_cast<std::int64_t>(slices.parameters.size);
#pragma omp parallel for simd schedule(static)
    for (std::int64_t i = 0; i < count; ++i) {
        rule(i, scale * gradients[i] + decay * w[i]);
    }
}

}  // namespace

void update(const OptimizerStep& step, const OptimizerSlices& slices) {
    LL_EXPECT(slices.parameters.size == slices.gradients.size);
    LL_EXPECT(state_count(step.kind) < 1 || slices.state0.size == slices.parameters.size);
    LL_EXPECT(state_count(step.kind) < 2 || slices.state1.size == slices.parameters.size);
    float* const w = slices.parameters.data;
    float* const s = slices.state0.data;
    float* const u = slices.state1.data;
    const float rate = step.learning_rate;
    const float epsilon = step.epsilon;
    switch (step.kind) {
        case OptimizerKind::sgd:
            for_each_gradient(step, slices, [=](std::int64_t i, float g) { w[i] -= rate * g; });
            break;
        case OptimizerKind::momentum:
            for_each_gradient(step, slices, [=, keep = step.momentum](std::int64_t i, float g) {
                s[i] = keep * s[i] + g;
                w[i] -= rate * s[i];
            });
            break;
        case OptimizerKind::adagrad:
            for_each_gradient(step, slices, [=](std::int64_t i, float g) {
                s[i] += g * g;
                w[i] -= rate * g / (std::sqrt(s[i]) + epsilon);
            });
            break;
        case OptimizerKind::adadelta:
            for_each_gradient(step, slices, [=, rho = step.rho](std::int64_t i, float g) {
                s[i] = rho * s[i] + (1.0F - rho) * g * g;
                const float d = std::sqrt(u[i] + epsilon) / std::sqrt(s[i] + epsilon) * g;
                u[i] = rho * u[i] + (1.0F - rho) * d * d;
                w[i] -= rate * d;
            });
            break;
    }
}

}  // namespace layerledger::cpu
