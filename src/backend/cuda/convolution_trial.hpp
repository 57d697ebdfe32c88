// Which of the engines that cuDNN proposes is the fastest here.
#pragma once

#include <string>

#include "convolution_plan.hpp"
#include "gpu.hpp"

namespace layerledger::cuda {

/// Runs them all, on memory of its own. Throws Error{unavailable} where none can do it.
[[nodiscard]] std::string fastest_engine(const Gpu& gpu, const ConvolutionProblem& problem);

}  // namespace layerledger::cuda
