// How well the network does on images that it was not trained on.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
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
///
/// Each rank asks `is_to_end` before each batch; where one is told to end there is no result. Those
/// that are not told finish their part first.
[[nodiscard]] std::optional<Validation> validate(const Network& network, LayerOps& ops,
                                                 ValidationSource& source,
                                                 const Communicator& world,
                                                 const std::function<bool()>& is_to_end);

/// The same to the end.
[[nodiscard]] Validation validate(const Network& network, LayerOps& ops, ValidationSource& source,
                                  const Communicator& world);

/// The mean of several ranks' running statistics, which are equally many.
[[nodiscard]] std::vector<float> mean_statistics(const std::vector<std::vector<float>>& ranks);

}  // namespace layerledger
