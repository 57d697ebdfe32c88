// Random numbers as a function of (key, counter): any of them can be computed alone, in any order
// and on any rank, and is the same everywhere.
#pragma once

#include <cstdint>

namespace layerledger {

/// Spreads every bit of `state` over all 64. The finalizer of SplitMix64 (Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", OOPSLA 2014).
[[nodiscard]] constexpr std::uint64_t mixed_bits(std::uint64_t state) noexcept {
    state = (state ^ (state >> 30U)) * 0xBF58476D1CE4E5B9U;
    state = (state ^ (state >> 27U)) * 0x94D049BB133111EBU;
    return state ^ (state >> 31U);
}

/// 64 random bits: the number at position `counter` of the SplitMix64 sequence that starts at
/// `key`.
[[nodiscard]] constexpr std::uint64_t random_bits(std::uint64_t key,
                                                  std::uint64_t counter) noexcept {
    return mixed_bits(key + (counter + 1) * 0x9E3779B97F4A7C15U);
}

/// 32 random bits for place `index` under `key`, of which vectors of many are made quickly: a 32-bit
/// integer hash (after Wellons, "lowbias32") keyed on both sides.
[[nodiscard]] constexpr std::uint32_t random_bits32(std::uint64_t key,
                                                    std::uint32_t index) noexcept {
    std::uint32_t h = index ^ static_cast<std::uint32_t>(key);
    h = (h ^ (h >> 16U)) * 0x21F0AAADU;
    h = (h ^ (h >> 15U)) * 0x735A2D97U;
    h = ((h ^ (h >> 15U)) + static_cast<std::uint32_t>(key >> 32U)) * 0x85EBCA6BU;
    return h ^ (h >> 13U);
}

/// Whether dropout keeps the value at `index` of [N, C, H, W], counted row by row whatever the
/// layout in memory. `threshold` of 2^31 are dropped.
[[nodiscard]] constexpr bool dropout_keeps(std::uint64_t key, std::uint32_t index,
                                           std::uint32_t threshold) noexcept {
    return (random_bits32(key, index) >> 1U) >= threshold;
}

/// A number in [0, limit) from random bits; limit < 2^32. Its bias is below limit / 2^32.
[[nodiscard]] constexpr std::uint64_t random_below(std::uint64_t bits,
                                                   std::uint64_t limit) noexcept {
    return ((bits >> 32U) * limit) >> 32U;
}

/// About normal with mean 0 and variance 1: the sum of four uniform 16-bit numbers (Irwin-Hall),
/// within +-3.47. The sum is made odd about its mean, so that no value is ever zero.
[[nodiscard]] constexpr float random_normal(std::uint64_t bits) noexcept {
    const std::uint64_t sum =
        (bits & 0xFFFFU) + ((bits >> 16U) & 0xFFFFU) + ((bits >> 32U) & 0xFFFFU) + (bits >> 48U);
    const auto centred = static_cast<float>(2 * static_cast<std::int32_t>(sum) + 1 - 4 * 65535);
    // Four uniforms of width 65536 have the variance 65536^2 / 3; `centred` is twice their sum.
    return centred * (1.7320508F / (2.0F * 65536.0F));
}

}  // namespace layerledger
