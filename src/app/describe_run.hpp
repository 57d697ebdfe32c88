// What the run file says about a run beside its times.
#pragma once

#include <string>
#include <vector>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/comm/rank_map.hpp"
#include "layerledger/config/experiment.hpp"
#include "layerledger/data/image_index.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/record/run_description.hpp"
#include "layerledger/train/trainer.hpp"

namespace layerledger {

/// Collective; complete on rank 0, elsewhere without the facts about other ranks.
[[nodiscard]] RunDescription describe_run(const Experiment& experiment, const Network& network,
                                          Trainer& trainer, const TrainerOptions& options,
                                          const Backend& backend, const std::string& collective,
                                          const RankMap& rank, const Communicator& world,
                                          const ClockReading& clock,
                                          const std::string& command_line, bool validates);

/// What the description says of the images, whose lists go beside the run file at `path`.
void describe_images(RunDescription& run, const ImageIndex& images, const std::string& path);

/// Equal on two ranks if and only if their rows mean the same.
[[nodiscard]] std::uint64_t table_digest(const Network& network, const RunDescription& description);

}  // namespace layerledger
