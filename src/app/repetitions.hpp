// The same experiment several times in one job, each time with another seed.
#pragma once

#include <functional>

#include "layerledger/base/error.hpp"
#include "layerledger/comm/communicator.hpp"
#include "layerledger/config/experiment.hpp"

namespace layerledger {

/// Trains and leaves a run file at `run_file_path`. Collective; throws AgreedError where all ranks
/// know of a failure.
using TrainOnce = std::function<ExitCode(const Experiment&)>;

/// Collective. Repetition r, counted from 1, has the seed experiment.seed + r - 1 and the folder
/// output.directory/NAME/repetition-r; output.directory/NAME/index.csv says how each one is. One
/// that fails with an error that all ranks know of is marked there, and the rest go on; the exit
/// code is then that of the first that failed. An error that one rank alone knows of ends the job,
/// and an interruption on request the experiment: the index says how far it came. Where there is an
/// index already, the experiment goes on with what is not complete, unless output.overwrite begins
/// anew.
[[nodiscard]] ExitCode run_repetitions(const Communicator& world, const Experiment& experiment,
                                       const TrainOnce& train);

}  // namespace layerledger
