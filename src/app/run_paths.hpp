// Where a run's files are.
#pragma once

#include <string>

#include "layerledger/config/experiment.hpp"

namespace layerledger {

[[nodiscard]] std::string run_file_path(const Experiment& experiment);
/// Beside the run file, with the same name.
[[nodiscard]] std::string log_path(const Experiment& experiment);

}  // namespace layerledger
