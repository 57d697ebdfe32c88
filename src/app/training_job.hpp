// The parts of one training, made from the settings.
#pragma once

#include <memory>
#include <optional>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/comm/rank_map.hpp"
#include "layerledger/config/experiment.hpp"
#include "layerledger/data/batch_source.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/network/network.hpp"
#include "layerledger/record/run_description.hpp"
#include "layerledger/train/trainer.hpp"

namespace layerledger {

/// What runs before anything is written: everything that can be refused has been refused by then.
struct TrainingJob {
    Experiment experiment;
    RankMap rank;
    bool data_is_here = true;  ///< false: images are to be staged, and nothing else is set up
    std::optional<StagingRecord> staging;  ///< nothing where data.remote is not set
    ImageIndex images;
    std::optional<Network> network;
    std::unique_ptr<Backend> backend;
    std::unique_ptr<BatchSource> source;
    TrainerOptions options;
};

/// Collective. Throws AgreedError for what cannot be trained here. With `dry_run` no image is
/// moved.
[[nodiscard]] TrainingJob set_up(const Communicator& world, const Experiment& experiment,
                                 bool dry_run);

/// Whether there are images to validate on, and they are to be used.
[[nodiscard]] bool validates(const TrainingJob& job);

/// What is about to be trained, where, on which images and with which output.
void announce(const TrainingJob& job, const Communicator& world);

}  // namespace layerledger
