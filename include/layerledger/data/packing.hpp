// Packed files: images decoded once, for sets that should never be the bottleneck.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "layerledger/config/experiment.hpp"
#include "layerledger/data/image_index.hpp"

namespace layerledger {

struct PackOptions {
    std::string file;
    std::int64_t size = 256;  ///< the shorter side of each image, whose middle square is kept
    bool overwrite = false;
};

/// Called now and then with how many images of how many have been packed.
using PackProgress = std::function<void(std::int64_t done, std::int64_t all)>;

/// What has been packed.
struct PackResult {
    std::int64_t train = 0;
    std::int64_t val = 0;
    std::int64_t skipped = 0;  ///< unreadable, where settings.on_error is skip
};

/// Decodes the images of a folder's index on settings.workers threads into the file: under another
/// name at first, so that what is there under its own is whole. Throws Error: cannot_create where
/// the file exists (unless options.overwrite) or cannot be written, bad_data for an unreadable
/// image where settings.on_error is abort, and where none of a part could be read.
[[nodiscard]] PackResult pack_images(const ImageIndex& index, const DataSettings& settings,
                                     const PackOptions& options, const PackProgress& progress);

}  // namespace layerledger
