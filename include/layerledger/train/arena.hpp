// One flat buffer for all parameters and one for all gradients, in the order in which the backward
// pass produces gradients, so that every bucket and every layer is a slice.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "layerledger/network/network.hpp"

namespace layerledger {

struct Slice {
    std::size_t offset = 0;  ///< floats from the arena's start
    std::size_t size = 0;    ///< floats

    [[nodiscard]] std::size_t end() const noexcept { return offset + size; }
    friend bool operator==(const Slice&, const Slice&) = default;
};

struct ArenaPlan {
    std::vector<std::size_t> parameter_offsets;  ///< by ParameterId
    std::vector<Slice> layers;                   ///< by LayerId; empty where nothing is learned
    std::size_t size = 0;                        ///< floats in all
};

/// `storage[p]` floats for parameter p. Every offset is a multiple of 16 floats (a cache line).
[[nodiscard]] ArenaPlan plan_arena(const Network& network, std::span<const std::size_t> storage);

}  // namespace layerledger
