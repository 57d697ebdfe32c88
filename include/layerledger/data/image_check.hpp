// A look at image files before anything depends on them.
#pragma once

#include "layerledger/data/batch_source.hpp"
#include "layerledger/data/image_index.hpp"

namespace layerledger {

/// Looks at the first bytes of this rank's part of a folder's validation images, which nobody reads
/// before training has gone on for hours. Of more than 10,000 it takes so many, evenly spread.
/// Throws Error{bad_data} naming the first that cannot be read or is no JPEG file.
void require_readable_validation(const ImageIndex& index, Shard shard);

}  // namespace layerledger
