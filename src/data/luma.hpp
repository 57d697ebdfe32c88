// The grey of a colour.
#pragma once

#include <cstdint>

namespace layerledger {

/// Luma of 0 to 255 of a colour of the same range, rounded, after ITU-R BT.601, as JPEG files have
/// it.
constexpr std::uint8_t luma(unsigned red, unsigned green, unsigned blue) noexcept {
    return static_cast<std::uint8_t>((299U * red + 587U * green + 114U * blue + 500U) / 1000U);
}

}  // namespace layerledger
