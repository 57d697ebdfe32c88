// An experiment of more than one training: repetitions, and for each the twin without profiling.
//
//   repetitions = 1    DIRECTORY/NAME.h5, NAME.log and, with output.csv, the tables
//   NAME.layers.csv,
//                      NAME.iterations.csv and NAME.experiment.csv
//   repetitions = R    DIRECTORY/NAME/index.csv and DIRECTORY/NAME/repetition-01/ ... with the same
//   profile.twin       the same once more in unprofiled/ beside each run file
#pragma once

#include <functional>
#include <string>

#include "layerledger/base/error.hpp"
#include "layerledger/comm/communicator.hpp"
#include "layerledger/config/experiment.hpp"

namespace layerledger {

/// Trains and leaves a run file at `run_file_path`, on images of this digest unless it is empty (on
/// rank 0). Collective; throws AgreedError where all ranks know of a failure.
using TrainOnce = std::function<ExitCode(const Experiment&, const std::string& images_digest)>;

/// The same experiment, without profiling: what profile.twin trains besides.
[[nodiscard]] Experiment twin_of(const Experiment& experiment);

/// Throws Error{cannot_create} where output.csv would replace tables of another run than `run_id`
/// without output.overwrite. A run that is new has no run_id yet.
void refuse_old_tables(const Experiment& experiment, const std::string& run_id);

/// Collective. Trains as often as the settings say, through `train_once`, and compares and writes
/// what they ask for. See repetitions.hpp for what fails.
[[nodiscard]] ExitCode run_experiment(Communicator& world, const Experiment& experiment,
                                      const TrainOnce& train_once);

}  // namespace layerledger
