// Which rank runs where, and how many cores and how much memory it may call its own.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "layerledger/comm/communicator.hpp"

namespace layerledger {

struct RankMap {
    std::string host;    ///< SLURMD_NODENAME where set, else MPI's processor name
    int local_rank = 0;  ///< index among the ranks of this node
    int local_size = 1;
    int cores = 1;  ///< cores of this rank alone: its affinity mask, shared with others of the node
                    ///< if the masks overlap
    std::size_t memory_bytes =
        0;  ///< available on this node (and in its cgroup), divided by local_size
};

/// This node's name: Slurm's where it has one, since several of its nodes may share one host name.
[[nodiscard]] std::string node_name();

/// Who speaks for all ranks when the job cannot go on, given the node of each: four, on as many
/// nodes as there are, far from each other in the list, so that some are left where a node or a
/// part of the network is lost. In the order of ranks.
[[nodiscard]] std::vector<int> speakers_of(const std::vector<std::string>& nodes);

/// Collective.
[[nodiscard]] RankMap map_rank(const Communicator& world);

}  // namespace layerledger
