// Which of the engines that cuDNN proposes is the fastest here.
#pragma once

#include <string>

#include "convolution_plan.hpp"
#include "gpu.hpp"

namespace layerledger::cuda {

/// The largest workspace that an engine may want for a convolution whose input, output and weights
/// take `bytes`. Some want copies of all three, and few want more where these are small.
[[nodiscard]] constexpr double largest_workspace(double bytes) noexcept {
    constexpr double least = 128 << 20;
    constexpr double most = 2048.0 * (1 << 20);
    return bytes + least < most ? bytes + least : most;
}

/// Runs them all, on memory of its own. Throws Error{unavailable} where none can do it.
[[nodiscard]] std::string fastest_engine(const Gpu& gpu, const ConvolutionProblem& problem);

}  // namespace layerledger::cuda
