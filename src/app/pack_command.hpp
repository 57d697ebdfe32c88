// layerledger pack FOLDER FILE
#pragma once

#include <string>
#include <vector>

#include "layerledger/base/error.hpp"

namespace layerledger {

/// Decodes the images of a folder into one file, for data.source = packed. After the two names come
/// --size N, --overwrite, and settings (--config FILE, --data.classes ...). Throws Error{usage} for
/// what makes no sense, and what scanning and packing throw.
ExitCode run_pack_command(const std::vector<std::string>& arguments);

}  // namespace layerledger
