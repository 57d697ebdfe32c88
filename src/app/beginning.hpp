// Where a run begins: at iteration 0, or where a checkpoint says.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/config/experiment.hpp"
#include "layerledger/network/network.hpp"
#include "layerledger/record/checkpoint_file.hpp"
#include "layerledger/record/run_description.hpp"
#include "layerledger/record/run_writer.hpp"
#include "layerledger/train/trainer.hpp"

namespace layerledger {

/// Beside the run file: DIRECTORY/NAME.checkpoints.
[[nodiscard]] CheckpointFolder checkpoint_folder(const Experiment& experiment,
                                                 const std::string& run_file);

/// What rank 0 knows of it; the other ranks know `iteration`, `skipped_images` and `is_complete`.
struct Beginning {
    std::int64_t iteration = 0;  ///< training iterations done
    std::int64_t skipped_images = 0;
    bool is_complete = false;  ///< nothing is left to do
    std::string checkpoint;    ///< path; empty at iteration 0
    std::string run_id;        ///< of the run that goes on; empty where this is a new one
    std::string carried_from;  ///< id of this place's run, of which another training makes use
    TrainerState state;
};

/// Follows train.resume. Collective. Throws AgreedError: input_missing or bad_data for a checkpoint
/// that is not there or not whole, configuration where it is of another training and
/// train.resume_mismatch is refuse. Where that is allowed a new run begins. With other batches or
/// ranks the run has gone through as many images as before, in other iterations; where there are no
/// epochs, through as many iterations.
[[nodiscard]] Beginning find_beginning(const Communicator& world, const Experiment& experiment,
                                       const Network& network, const TrainerOptions& options,
                                       const std::vector<Fact>& identity,
                                       const std::string& run_file, bool ends_with_validation);

/// Gives a trainer the state of a beginning. Collective.
void go_on_from(Beginning& beginning, Trainer& trainer, const Communicator& world);

/// Makes the run file, or goes on in the one of an earlier start, and sees to the checkpoint
/// folder. A run of which another training makes use is set aside with its checkpoints. On rank 0.
/// Throws Error{cannot_create} where either cannot be written or holds another run.
[[nodiscard]] std::unique_ptr<RunWriter> open_run(const Experiment& experiment,
                                                  const Beginning& beginning,
                                                  const std::string& run_file,
                                                  RunDescription& description);

}  // namespace layerledger
