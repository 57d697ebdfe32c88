// The values that parameters start from.
#pragma once

#include <cstdint>
#include <vector>

#include "layerledger/device/backend.hpp"
#include "layerledger/network/network.hpp"

namespace layerledger {

/// Values of one parameter in the order of its dims, a function of seed and parameter alone.
/// Weights are uniform: within sqrt(6 / fan_in) where a rectifier follows (He et al. 2015), else
/// within sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010). Biases and shifts are 0, scales 1.
[[nodiscard]] std::vector<float> initial_values(const Parameter& parameter, std::uint64_t seed);

/// Gives every parameter of a bound network its initial values: the same on every rank.
void initialize(const Network& network, LayerOps& ops, std::uint64_t seed);

}  // namespace layerledger
