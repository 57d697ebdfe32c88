// Which convolution algorithm is used where, and the geometry that windows share.
#pragma once

#include "layerledger/network/network.hpp"

namespace layerledger::cpu {

/// True where Winograd's F(4x4, 3x3) is to be used in all three directions. A function of shapes
/// alone, so that all ranks compute alike.
[[nodiscard]] bool winograd_pays(const Convolution& convolution, const Shape& input,
                                 const Shape& output, std::int64_t batch);

/// Padding behind the input that gives the network's output extent, ceil mode included.
[[nodiscard]] std::int64_t trailing_padding(const Window& window, std::int64_t input,
                                            std::int64_t output);

}  // namespace layerledger::cpu
