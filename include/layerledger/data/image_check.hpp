// A look at image files before anything depends on them.
#pragma once

#include <chrono>
#include <cstddef>

#include "layerledger/data/batch_source.hpp"
#include "layerledger/data/image_index.hpp"

namespace layerledger {

/// Looks at the first bytes of this rank's part of a folder's validation images, which nobody reads
/// before training has gone on for hours; at how many. Where there is no time for all within
/// `patience`, those it has looked at lie evenly spread. Throws Error{bad_data} naming the first
/// that cannot be read or is no JPEG file.
[[nodiscard]] std::size_t require_readable_validation(
    const ImageIndex& index, Shard shard,
    std::chrono::milliseconds patience = std::chrono::minutes(1));

}  // namespace layerledger
