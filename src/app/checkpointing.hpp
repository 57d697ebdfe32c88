// Between a trainer's state and a checkpoint file: what is written beside the numbers, and whether
// a checkpoint fits the training that is to go on from it.
#pragma once

#include <string>
#include <vector>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/config/experiment.hpp"
#include "layerledger/data/batch_source.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/network/network.hpp"
#include "layerledger/record/checkpoint_file.hpp"
#include "layerledger/train/trainer.hpp"

namespace layerledger {

/// What makes a training the one that it is: names and values, of which all have to be the same for
/// a training to go on bit for bit.
[[nodiscard]] std::vector<Fact> training_identity(const Experiment& experiment,
                                                  const Network& network, const ImageIndex& images,
                                                  int ranks, const DeviceInfo& device);

/// "network (lenet5 there, alexnet here), world_size (2 there, 4 here)"; empty where all is the
/// same.
[[nodiscard]] std::string differences(const Checkpoint& checkpoint,
                                      const std::vector<Fact>& identity);

/// "train.learning_rate (0.1 there, 0.01 here)": settings that may change while a training goes on.
[[nodiscard]] std::string changed_settings(const Checkpoint& checkpoint,
                                           const Experiment& experiment);

/// Puts a whole state into a checkpoint, which has everything else already.
void put_state(Checkpoint& checkpoint, TrainerState state, const Network& network,
               OptimizerKind optimizer);

/// Takes out of it what this network, optimizer and number of ranks can use: parameters of the same
/// name and dims, their optimizer states if it is the same optimizer, running statistics (other
/// ranks get the mean) if it is the same network, random numbers if all is the same.
[[nodiscard]] TrainerState take_state(Checkpoint& checkpoint, const Network& network,
                                      OptimizerKind optimizer, const std::vector<Fact>& identity,
                                      int ranks);

}  // namespace layerledger
