#include "vector.cuh"

namespace layerledger::cuda::kernels {
namespace {

// Calls rule(g, w, s, u, learning rate) for every parameter, four to a thread: slices begin and end at multiples
// of 16 floats.
template <class Rule>
__global__ void update_kernel(OptimizerStep step, const float* given_rate, OptimizerSlices slices,
                              Bf16* cast, std::int64_t vectors, Rule rule) {
    const std::int64_t index = global_index();
    if (index >= vectors) {
        return;
    }
    const float rate = given_rate != nullptr ? *given_rate : step.learning_rate;
    Vector<float> w = load<float>(slices.parameters.data, index);
    const Vector<float> g = load<float>(slices.gradients.data, index);
    Vector<float> s{};
    Vector<float> u{};
    if (slices.state0.data != nullptr) {
        s = load<float>(slices.state0.data, index);
    }
    if (slices.state1.data != nullptr) {
        u = load<float>(slices.state1.data, index);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        rule(step.gradient_scale * g.v[i] + step.weight_decay * w.v[i], w.v[i], s.v[i], u.v[i],
             rate);
    }
    store<float>(slices.parameters.data, index, w);
    if (slices.state0.data != nullptr) {
        store<float>(slices.state0.data, index, s);
    }
    if (slices.state1.data != nullptr) {
        store<float>(slices.state1.data, index, u);
    }
    if (cast != nullptr) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            cast[4 * index + i] = __float2bfloat16(w.v[i]);
        }
    }
}

}  // namespace

void update(const OptimizerStep& step, const float* given_rate, const OptimizerSlices& slices,
            Bf16* cast, cudaStream_t stream) {
    OptimizerSlices used = slices;
    if (state_count(step.kind) < 1) {
        used.state0 = {};
    }
    if (state_count(step.kind) < 2) {
        used.state1 = {};
    }
    const auto vectors = static_cast<std::int64_t>(slices.parameters.size / 4);
    const auto launch = [&](auto rule) {
        update_kernel<<<blocks_for(vectors), block_size, 0, stream>>>(step, given_rate, used, cast,
                                                                      vectors, rule);
    };
    const float epsilon = step.epsilon;
    switch (step.kind) {
        case OptimizerKind::sgd:
            launch([] __device__(float g, float& w, float&, float&, float rate) { w -= rate * g; });
            break;
        case OptimizerKind::momentum:
            launch([=, keep = step.momentum] __device__(float g, float& w, float& v, float&, float rate) {
                v = keep * v + g;
                w -= rate * v;
            });
            break;
        case OptimizerKind::adagrad:
            launch([=] __device__(float g, float& w, float& s, float&, float rate) {
                s += g * g;
                w -= rate * g / (sqrtf(s) + epsilon);
            });
            break;
        case OptimizerKind::adadelta:
            launch([=, rho = step.rho] __device__(float g, float& w, float& s, float& u, float rate) {
                s = rho * s + (1.0F - rho) * g * g;
                const float d = sqrtf(u + epsilon) / sqrtf(s + epsilon) * g;
                u = rho * u + (1.0F - rho) * d * d;
                w -= rate * d;
            });
            break;
    }
}

}  // namespace layerledger::cuda::kernels
