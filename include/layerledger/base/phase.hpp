// The three parts of a training iteration in which a layer works.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace layerledger {

enum class Phase : unsigned char { forward, backward, update };

inline constexpr std::array phases{Phase::forward, Phase::backward, Phase::update};
inline constexpr std::array<std::string_view, 3> phase_names{"forward", "backward", "update"};

constexpr std::size_t index(Phase phase) noexcept {
    return static_cast<std::size_t>(phase);
}
constexpr std::string_view name(Phase phase) noexcept {
    return phase_names[index(phase)];
}

}  // namespace layerledger
