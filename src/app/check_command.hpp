// layerledger check RUN.h5
#pragma once

#include <string>

#include "layerledger/base/error.hpp"

namespace layerledger {

/// Prints what in a run file breaks the schema, one line each, and returns bad_data; or says that
/// it is whole. Throws Error as `check_run_file` does.
ExitCode run_check_command(const std::string& path);

}  // namespace layerledger
