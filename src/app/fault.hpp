// What is said when training fails: besides the error which rank, on which node, and at what.
#pragma once

#include <exception>
#include <string>
#include <vector>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/network/network.hpp"
#include "layerledger/train/whereabouts.hpp"

namespace layerledger {

/// Collective: the node of each rank, on every rank.
[[nodiscard]] std::vector<std::string> nodes_of_ranks(const Communicator& world);

/// An error that all ranks know of, with where in training this rank was.
[[nodiscard]] AgreedError with_place(const AgreedError& error, const Whereabouts::Place& place,
                                     const Network& network, const Communicator& world);

/// One that only this rank knows of, with where in training it was; after a wait that came to its
/// deadline also with the ranks of which nothing is heard, which takes some seconds.
[[nodiscard]] Error explained(const std::exception& failure, const Whereabouts::Place& place,
                              const Network& network, const Communicator& world,
                              const std::vector<std::string>& nodes, double timeout_seconds);

}  // namespace layerledger
