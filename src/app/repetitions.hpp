// The same experiment several times in one job, each time with another seed.
#pragma once

#include <functional>
#include <string>

#include "layerledger/base/error.hpp"
#include "layerledger/comm/communicator.hpp"
#include "layerledger/config/experiment.hpp"

namespace layerledger {

/// How a repetition deals with run files that are there.
enum class Earlier : unsigned char {
    refuse,
    go_on,   ///< a complete training is kept, an unfinished one resumes or is set aside
    repeat,  ///< what failed resumes or is set aside
};

/// Trains one repetition, on images of this digest unless it is empty: those of the repetitions
/// that are complete (on rank 0). Collective; throws AgreedError where all ranks know of a failure.
using TrainRepetition =
    std::function<ExitCode(const Experiment&, Earlier, const std::string& images_digest)>;

/// Collective. Repetition r, counted from 1, has the seed experiment.seed + r - 1 and the folder
/// output.directory/NAME/repetition-r; output.directory/NAME/index.csv says how each one is. One
/// that fails with an error that all ranks know of is marked there, and the rest go on; the exit
/// code is then that of the first that failed. An error that one rank alone knows of ends the job,
/// and an interruption on request the experiment: the index says how far it came.
///
/// Where there is an index already, the experiment goes on with what is not complete, or has come
/// in addition, unless output.overwrite begins anew. A training that was cut off resumes where
/// train.resume is auto and there are checkpoints; else it begins anew, and what it left is set
/// aside.
[[nodiscard]] ExitCode run_repetitions(const Communicator& world, const Experiment& experiment,
                                       const TrainRepetition& train);

/// What became of a training of which no process is left.
struct ClosedTraining {
    bool is_complete = false;
    std::string said;
};
using CloseTraining = std::function<ClosedTraining(const Experiment&)>;

/// For an experiment of which no process is left: closes the repetition that the index calls
/// running, says there that it failed, or is complete after all, and tells what was done. Throws
/// Error where the index cannot be read or written.
[[nodiscard]] std::string close_repetitions(const Experiment& experiment,
                                            const CloseTraining& close);

}  // namespace layerledger
