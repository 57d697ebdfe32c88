// Where a run's files are.
#pragma once

#include <string>

#include "layerledger/config/experiment.hpp"

namespace layerledger {

/// Throws Error{configuration} unless output.file is a name that ends in .h5. The run's log, lists
/// and checkpoints have its name with other endings: so they are never the file of this run or of
/// another.
void require_run_file_name(const Experiment& experiment);

[[nodiscard]] std::string run_file_path(const Experiment& experiment);
/// Held by the start that writes the run, or the repetitions of it.
[[nodiscard]] std::string lock_path(const Experiment& experiment);
/// Beside the run file, with the same name.
[[nodiscard]] std::string log_path(const Experiment& experiment);
/// What the names of a run's tables begin with: runs that share a folder have tables of their own.
[[nodiscard]] std::string tables_prefix(const Experiment& experiment);

}  // namespace layerledger
