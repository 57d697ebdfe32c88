// `layerledger train`: the main job.
#pragma once

#include <string>
#include <vector>

#include "layerledger/base/error.hpp"

namespace layerledger {

/// Starts MPI, trains, ends MPI. `arguments` follow the word "train". An error that only one rank
/// meets ends the whole job from here.
[[nodiscard]] ExitCode run_train_command(int& argc, char**& argv,
                                         const std::vector<std::string>& arguments);

}  // namespace layerledger
