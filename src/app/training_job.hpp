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
#include "layerledger/train/trainer.hpp"

namespace layerledger {

/// What runs before anything is written: everything that can be refused has been refused by then.
struct TrainingJob {
    Experiment experiment;
    RankMap rank;
    ImageIndex images;
    std::optional<Network> network;
    std::unique_ptr<Backend> backend;
    std::unique_ptr<BatchSource> source;
    TrainerOptions options;
};

/// Collective. Throws AgreedError for what cannot be trained here.
[[nodiscard]] TrainingJob set_up(const Communicator& world, const Experiment& experiment);

/// One line on what is about to be trained, and where.
void announce(const TrainingJob& job, const Communicator& world);

}  // namespace layerledger
