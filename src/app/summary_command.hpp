// layerledger summary RUN.h5
#pragma once

#include <string>

#include "layerledger/base/error.hpp"

namespace layerledger {

/// Prints where the time of a run went. Throws Error as `summarize` does.
ExitCode run_summary_command(const std::string& path);

}  // namespace layerledger
