// Which of cuDNN's engines are to be used: found by trial once for each problem, the same on every
// rank, and remembered on disk.
#pragma once

#include <string>

#include "convolution_plan.hpp"
#include "gpu.hpp"
#include "remembered_engines.hpp"

namespace layerledger::cuda {

class ConvolutionEngines {
public:
    /// Reads what earlier runs found on the same kind of GPU with the same cuDNN.
    explicit ConvolutionEngines(const Gpu& gpu);

    /// By the engine that is the fastest in a trial, unless it is known from an earlier one.
    [[nodiscard]] ConvolutionPlan plan(const ConvolutionProblem& problem);

    /// All ranks know what rank 0 does, and nothing else. Collective.
    void share(const Communicator& world);

    /// Writes what is new to disk, on rank 0. Where that fails the next run looks again.
    void remember();

private:
    const Gpu& gpu_;
    RememberedEngines known_;
    bool is_new_ = false;
};

}  // namespace layerledger::cuda
