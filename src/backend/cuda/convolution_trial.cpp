#include "convolution_trial.hpp"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
namespace {

// Written between runs: it keeps the device busy while the next one is enqueued, and leaves nothing
// of the last one in its cache.
constexpr std::size_t filler_bytes = std::size_t{128} << 20U;

class Trial {
public:
    Trial(const Gpu& gpu, const ConvolutionProblem& problem)
        : gpu_(gpu),
          x_(bytes(problem, problem.x.elements())),
          w_(bytes(problem, problem.weights())),
          y_(bytes(problem, problem.y.elements())) {
        for (const DeviceMemory* memory : {&x_, &w_, &y_}) {
            fill(*memory, memory->bytes());
        }
    }

    [[nodiscard]] bool allows(const ConvolutionPlan& plan) const noexcept {
        return static_cast<double>(plan.workspace_bytes()) <=
               largest_workspace(static_cast<double>(x_.bytes() + w_.bytes() + y_.bytes()));
    }
    void provide(std::size_t workspace_bytes) {
        workspace_ = DeviceMemory(std::max(workspace_bytes, filler_bytes));
    }

    /// The shortest of a few runs; of fewer where `best_ms` is out of reach.
    [[nodiscard]] float run(ConvolutionPlan& plan, float best_ms) {
        execute(plan);  // the first run loads the kernels
        gpu_.compute().synchronize();
        float shortest = std::numeric_limits<float>::max();
        constexpr int runs = 3;
        for (int i = 0; i < runs && (i == 0 || shortest < 2 * best_ms); ++i) {
            fill(workspace_, filler_bytes);
            begun_.record(gpu_.compute());
            execute(plan);
            ended_.record(gpu_.compute());
            ended_.synchronize();
            float ms = 0;
            LL_CUDA(cudaEventElapsedTime(&ms, begun_.get(), ended_.get()));
            shortest = std::min(shortest, ms);
        }
        return shortest;
    }

private:
    static std::size_t bytes(const ConvolutionProblem& problem, std::int64_t count) {
        return static_cast<std::size_t>(count) * kernels::size_of(problem.type);
    }
    // Not with zeros, on which some kernels run faster: 0x3c in every byte is 0.0115 in both types.
    void fill(const DeviceMemory& memory, std::size_t bytes) const {
        LL_CUDA(cudaMemsetAsync(memory.data(), 0x3c, bytes, gpu_.compute().get()));
    }
    void execute(ConvolutionPlan& plan) {
        plan.execute(gpu_.cudnn(), {x_.data(), w_.data(), y_.data(), workspace_.data()});
    }

    const Gpu& gpu_;
    // Not the network's own memory: padding in it has to stay zero.
    DeviceMemory x_;
    DeviceMemory w_;
    DeviceMemory y_;
    DeviceMemory workspace_;
    Event begun_{true};
    Event ended_{true};
};

struct Candidate {
    std::string engine;
    ConvolutionPlan plan;
};

}  // namespace

std::string fastest_engine(const Gpu& gpu, const ConvolutionProblem& problem) {
    Trial trial(gpu, problem);
    std::string best;
    std::string refusal = "none was proposed";
    float best_ms = std::numeric_limits<float>::max();
    // What cuDNN falls back on can do nearly everything, and takes long for it.
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
        if (!best.empty()) {
            break;
        }
        std::vector<Candidate> candidates;
        std::size_t workspace_bytes = 0;
        for (const std::string& engine : proposed_engines(gpu.cudnn_device(), problem, mode)) {
            try {
                ConvolutionPlan plan(gpu.cudnn_device(), problem, engine);
                LL_VALIDATE(trial.allows(plan), ExitCode::unavailable,
                            text("it wants a workspace of ",
                                 bytes_text(static_cast<double>(plan.workspace_bytes()))));
                workspace_bytes = std::max(workspace_bytes, plan.workspace_bytes());
                candidates.push_back({engine, std::move(plan)});
            } catch (const Error& error) {
                refusal = text(engine, ": ", error.what());
            }
        }
        trial.provide(workspace_bytes);
        for (Candidate& candidate : candidates) {
            try {
                const float ms = trial.run(candidate.plan, best_ms);
                if (ms < best_ms) {
                    best_ms = ms;
                    best = candidate.engine;
                }
            } catch (const Error& error) {
                refusal = text(candidate.engine, ": ", error.what());
            }
        }
    }
    LL_VALIDATE(!best.empty(), ExitCode::unavailable,
                text("cuDNN has no engine for ", to_text(problem), " (", refusal,
                     ") use another train.precision",
                     problem.deterministic ? ", or train.deterministic=false" : ""));
    return best;
}

}  // namespace layerledger::cuda
