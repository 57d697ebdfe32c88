#include "layerledger/train/initialization.hpp"

#include <cmath>

namespace layerledger {
namespace {

/// SplitMix64 (Steele, Lea, Flood 2014): the n-th number of a stream costs a few operations and
/// needs no state, so every rank gets the same numbers whatever it does in between.
std::uint64_t mixed(std::uint64_t stream, std::uint64_t n) {
    std::uint64_t z = stream + (n + 1) * 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31U);
}

/// Uniform in (-1, 1) from the upper 24 bits, which a float holds exactly.
float centred(std::uint64_t bits) {
    return (static_cast<float>(bits >> 40U) + 0.5F) * 0x1p-23F - 1.0F;
}

}  // namespace

std::vector<float> initial_values(const Parameter& parameter, std::uint64_t seed) {
    std::vector<float> values(static_cast<std::size_t>(parameter.elements()), 0.0F);
    switch (parameter.role) {
        case ParameterRole::bias:
        case ParameterRole::shift: break;
        case ParameterRole::scale: values.assign(values.size(), 1.0F); break;
        case ParameterRole::weight: {
            const auto fan = static_cast<double>(
                parameter.rectified ? parameter.fan_in : parameter.fan_in + parameter.fan_out);
            const auto limit = static_cast<float>(std::sqrt(6.0 / fan));
            const std::uint64_t stream = mixed(seed, parameter.id.index());
            for (std::size_t i = 0; i < values.size(); ++i) {
                values[i] = limit * centred(mixed(stream, i));
            }
            break;
        }
    }
    return values;
}

void initialize(const Network& network, LayerOps& ops, std::uint64_t seed) {
    for (const Parameter& parameter : network.parameters()) {
        ops.import_parameter(parameter.id, initial_values(parameter, seed));
    }
}

}  // namespace layerledger
