// A digest of bytes that is the same on every machine and in every version.
#pragma once

#include <cstdint>
#include <string_view>

namespace layerledger {

/// FNV-1a, 64 bits (Fowler, Noll and Vo; RFC 9923).
class Fnv1a {
public:
    void add(unsigned char byte) noexcept { state_ = (state_ ^ byte) * 0x100000001B3U; }
    void add(std::string_view bytes) noexcept {
        for (const char byte : bytes) {
            add(static_cast<unsigned char>(byte));
        }
    }
    /// Its bytes, least significant first.
    void add(std::uint64_t value) noexcept {
        for (unsigned shift = 0; shift < 64; shift += 8) {
            add(static_cast<unsigned char>(value >> shift));
        }
    }
    [[nodiscard]] std::uint64_t value() const noexcept { return state_; }

private:
    std::uint64_t state_ = 0xCBF29CE484222325U;
};

}  // namespace layerledger
