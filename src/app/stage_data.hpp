// The images onto every node, once, before anything looks at them.
#pragma once

#include <optional>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/comm/rank_map.hpp"
#include "layerledger/config/experiment.hpp"
#include "layerledger/record/run_description.hpp"

namespace layerledger {

struct StagedData {
    DataSettings settings;                ///< `root` as this node knows it
    std::optional<StagingRecord> record;  ///< nothing where data.remote is not set
    bool is_here = true;                  ///< false: only looked at, and something is missing
};

/// The first rank of each node stages where data.remote is set; all others wait, as long as every
/// node shows signs of life. Says how far it is every output.progress_seconds. With `only_look`
/// nothing is changed. Collective: throws AgreedError on all ranks where one of them cannot go on,
/// and ends all transfers then.
[[nodiscard]] StagedData stage_data(const Communicator& world, const RankMap& rank,
                                    const Experiment& experiment, bool only_look);

}  // namespace layerledger
