// A block at the beginning of a file that tells whether the rest is what was written: the HDF5
// library, given a damaged file, may crash or never come back.
#pragma once

#include <cstdint>
#include <string>

namespace layerledger {

/// What a file has to leave free at its beginning. A page, so that the rest keeps its alignment.
inline constexpr std::uint64_t seal_bytes = 4096;

/// Writes the length and the digest of the file as it is now. Throws Error{data_lost}.
void seal(const std::string& path);

/// Why the file is not what was sealed, to stand in brackets; empty where it is.
[[nodiscard]] std::string broken_seal(const std::string& path);

/// Whether a file begins with a seal, of whatever length it is now.
[[nodiscard]] bool is_sealed(const std::string& path);

}  // namespace layerledger
