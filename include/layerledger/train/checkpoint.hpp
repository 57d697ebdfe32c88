// What training from an iteration on depends on: taken from a trainer, and given back to one.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/network/network.hpp"
#include "layerledger/train/optimizer.hpp"

namespace layerledger {

/// Plain numbers that know nothing of the device: parameters and what belongs to them are in the
/// order of the network's own dims.
struct TrainerState {
    std::int64_t iteration = 0;  ///< training iterations done
    /// By ParameterId. An empty one keeps its initial values.
    std::vector<std::vector<float>> parameters;
    /// optimizer[k][p] is state vector k of parameter p; zero where it is empty.
    std::vector<std::vector<std::vector<float>>> optimizer;
    std::vector<std::vector<float>> statistics;      ///< by rank, see LayerOps::state
    std::vector<std::vector<std::uint64_t>> random;  ///< by rank, see LayerOps::random_state
};

/// Names of an optimizer's state vectors, in order.
[[nodiscard]] std::vector<std::string_view> state_names(OptimizerKind kind);

/// Who holds that state on a rank, between two iterations and with the device idle.
struct StateHolders {
    const Network& network;
    LayerOps& ops;
    Optimizer& optimizer;
    Buffer& parameters;
    Buffer& gradients;  ///< their content is lost
};

/// Collective. Whole on rank 0; other ranks bring what differs from rank to rank and get nothing.
[[nodiscard]] TrainerState capture(const StateHolders& holders, std::int64_t iteration,
                                   const Communicator& world);

/// Collective: rank 0's state, on every rank.
[[nodiscard]] TrainerState share(TrainerState state, const Communicator& world);

/// Gives back a whole state. Where it has no statistics or random numbers of this rank, they stay
/// as they are. Throws Error{bad_data} where something has another length than in this network.
void restore(const StateHolders& holders, const TrainerState& state, int rank);

}  // namespace layerledger
