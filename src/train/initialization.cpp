#include "layerledger/train/initialization.hpp"

#include <cmath>

#include "layerledger/base/counter_random.hpp"

namespace layerledger {
namespace {

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
            const std::uint64_t stream = random_bits(seed, parameter.id.index());
            for (std::size_t i = 0; i < values.size(); ++i) {
                values[i] = limit * centred(random_bits(stream, i));
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
