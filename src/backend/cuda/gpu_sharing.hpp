// Which ranks compute on one GPU.
#pragma once

#include <string>

#include "layerledger/comm/communicator.hpp"

namespace layerledger::cuda {

/// The GPU that a rank takes. On every node GPUs are told apart by their UUIDs: launchers may show
/// each rank another one, and each rank calls it number 0.
struct ChosenGpu {
    std::string host;
    std::string name;
    std::string uuid;
};

/// How many ranks, this one included, compute on this rank's GPU. Collective. Throws
/// AgreedError{unavailable} where it is more than one and `may_share` is not set.
[[nodiscard]] int count_sharers(const Communicator& world, const ChosenGpu& gpu, bool may_share);

}  // namespace layerledger::cuda
