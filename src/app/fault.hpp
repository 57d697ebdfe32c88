// What is said when training fails: besides the error which rank, on which node, and at what.
#pragma once

#include <chrono>
#include <exception>
#include <string>
#include <vector>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/comm/heartbeat.hpp"
#include "layerledger/network/network.hpp"
#include "layerledger/train/whereabouts.hpp"

namespace layerledger {

/// Collective: the node of each rank, on every rank.
[[nodiscard]] std::vector<std::string> nodes_of_ranks(const Communicator& world);

/// An error that all ranks know of, with where in training this rank was.
[[nodiscard]] AgreedError with_place(const AgreedError& error, const Whereabouts::Place& place,
                                     const Network& network, const Communicator& world);

/// What is known of the ranks, for ranks that fail on their own.
struct Roll {
    const Communicator& world;
    const std::vector<std::string>& nodes;  ///< of each rank
    const std::vector<int>& speakers;       ///< who is told of the others, and says so
    double timeout_seconds = 0;             ///< how long they wait for each other
};

/// One that only this rank knows of, with where in training it was; after a wait that came to its
/// deadline also with the ranks of which nothing is heard or that are stuck, which takes some
/// seconds.
[[nodiscard]] Error explained(const std::exception& failure, const Whereabouts::Place& place,
                              const Network& network, const Roll& roll);

/// The same for this rank's training, which does not go on.
[[nodiscard]] Error stuck(std::chrono::nanoseconds for_time, const Whereabouts::Place& place,
                          const Network& network, const Roll& roll);

/// Why the job ends where ranks give no sign of life any more, outside iterations. `network` is
/// null before there is one.
[[nodiscard]] Error silenced(const std::vector<Heartbeat::Silent>& silent,
                             const Whereabouts::Place& place, const Network* network,
                             const Roll& roll);

[[nodiscard]] bool is_speaker(const Roll& roll);

/// When a launcher has told all ranks to end, on all of them, within a third of the second that
/// they are given: on speakers who did not live to be told, else nothing.
[[nodiscard]] std::string who_is_gone(const Roll& roll);

/// What this rank was at when its process was told to end, whether a run file is left of it, and
/// who is gone.
[[nodiscard]] Error told_to_end(int signal, const Whereabouts::Place& place, const Network& network,
                                bool is_kept, const std::string& gone);

}  // namespace layerledger
