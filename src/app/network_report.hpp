// Over which networks the nodes reach each other: said when training begins, kept in the run file.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/comm/connections.hpp"

namespace layerledger {

/// A rank's connections: those before NCCL began are MPI's, what has come since is NCCL's.
struct NetworkUse {
    std::set<Connection> mpi;
    std::set<Connection> nccl;
    bool has_nccl = false;
};

/// MPI spreads large messages over all networks that it finds, and connects over some of them with
/// the first such message: with one as gradients are. Collective.
void connect_as_for_gradients(const Communicator& world);

/// The process' connections `now`, told apart where `collective` is NCCL's by those `before` it was
/// made.
[[nodiscard]] NetworkUse network_use(std::set<Connection> before, std::set<Connection> now,
                                     std::string_view collective);

/// A line for each node, on rank 0: "node07: MPI over 10.0.0.7 (eth0), NCCL over 10.1.0.7 (ib0)".
/// Empty where all ranks are on one node. Collective.
[[nodiscard]] std::string describe_networks(const NetworkUse& use, const std::string& node,
                                            const Communicator& world);

/// Says them; of many nodes the first ones.
void announce_networks(const std::string& lines);

}  // namespace layerledger
