// How well the network does on images that it was not trained on.
#pragma once

#include <cstdint>
#include <vector>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/data/batch_source.hpp"
#include "layerledger/device/backend.hpp"

namespace layerledger {

/// Means over all images of all ranks; top1 and topk are shares from 0 to 1.
struct Validation {
    double loss = 0;
    double top1 = 0;
    double topk = 0;
    std::int64_t images = 0;
    double seconds = 0;
};

/// Collective: one inference pass over `source`, every image counted exactly once. Running
/// statistics are averaged over the ranks for the pass, because each has seen its own shard and all
/// validate the same network; training keeps its own. Throws AgreedError: the
/// source's own error of one rank, or bad_data where no image could be read.
[[nodiscard]] Validation validate(const Network& network, LayerOps& ops, ValidationSource& source,
                                  const Communicator& world);

/// The mean of several ranks' running statistics, which are equally many.
[[nodiscard]] std::vector<float> mean_statistics(const std::vector<std::vector<float>>& ranks);

}  // namespace layerledger
