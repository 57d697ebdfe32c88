// Opens a run file to read it.
#pragma once

#include <exception>
#include <string>

#include "layerledger/base/error.hpp"
#include "layerledger/hdf5/file.hpp"

namespace layerledger {

/// Waits a moment for a writer's lock. Throws Error: input_missing where there is no such file,
/// bad_data where it is no run file, cut short, damaged or of an unknown major schema version.
[[nodiscard]] hdf5::File open_run_file(const std::string& path);

/// What to throw where a run file that could be opened cannot be read after all: Error{bad_data}
/// that names it and says what to do. An error that says so itself stays as it is.
[[nodiscard]] Error damaged(const std::string& path, const std::exception& error);

}  // namespace layerledger
