// Opens a run file to read it.
#pragma once

#include <string>

#include "layerledger/hdf5/file.hpp"

namespace layerledger {

/// Waits a moment for a writer's lock. Throws Error: input_missing where there is no such file,
/// bad_data where it is no run file or of an unknown major schema version.
[[nodiscard]] hdf5::File open_run_file(const std::string& path);

}  // namespace layerledger
