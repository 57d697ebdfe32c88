#include "layerledger/train/checkpoint.hpp"

#include <cstring>
#include <span>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

/// Every rank's values on rank 0, which are equally many.
template <class T>
std::vector<std::vector<T>> gather_rows(const std::vector<T>& mine, const Communicator& world) {
    const std::vector<std::byte> bytes = world.gather(std::as_bytes(std::span(mine)));
    if (!world.is_root()) {
        return {};
    }
    std::vector<std::vector<T>> rows(static_cast<std::size_t>(world.size()),
                                     std::vector<T>(mine.size()));
    for (std::size_t rank = 0; rank < rows.size() && !mine.empty(); ++rank) {
        const std::size_t size = mine.size() * sizeof(T);
        std::memcpy(rows[rank].data(), bytes.data() + rank * size, size);
    }
    return rows;
}

template <class T>
void share_vector(std::vector<T>& values, const Communicator& world) {
    values.resize(
        static_cast<std::size_t>(world.broadcast(static_cast<std::int64_t>(values.size()))));
    world.broadcast(std::as_writable_bytes(std::span(values)));
}

template <class T>
void share_vector(std::vector<std::vector<T>>& values, const Communicator& world) {
    values.resize(
        static_cast<std::size_t>(world.broadcast(static_cast<std::int64_t>(values.size()))));
    for (std::vector<T>& one : values) {
        share_vector(one, world);
    }
}

void copy(Buffer& from, Buffer& to) {
    std::vector<float> values(from.span().size);
    from.download(0, values);
    to.upload(0, values);
}

void import_all(const StateHolders& holders, const std::vector<std::vector<float>>& values) {
    LL_VALIDATE(values.size() == holders.network.parameters().size(), ExitCode::bad_data,
                text("a state of ", values.size(), " parameters (this network has ",
                     holders.network.parameters().size(), ")"));
    for (const Parameter& parameter : holders.network.parameters()) {
        const std::vector<float>& one = values[parameter.id.index()];
        if (one.empty()) {
            continue;
        }
        LL_VALIDATE(one.size() == static_cast<std::size_t>(parameter.elements()),
                    ExitCode::bad_data,
                    text("a state of ", one.size(), " numbers for ", parameter.name,
                         " (this network has ", parameter.elements(), ")"));
        holders.ops.import_parameter(parameter.id, one);
    }
}

std::vector<std::vector<float>> zeros_where_empty(const Network& network,
                                                  std::vector<std::vector<float>> values) {
    values.resize(network.parameters().size());
    for (const Parameter& parameter : network.parameters()) {
        values[parameter.id.index()].resize(static_cast<std::size_t>(parameter.elements()));
    }
    return values;
}

}  // namespace

std::vector<std::string_view> state_names(OptimizerKind kind) {
    switch (kind) {
        case OptimizerKind::sgd: return {};
        case OptimizerKind::momentum: return {"velocity"};
        case OptimizerKind::adagrad: return {"sum_of_squares"};
        case OptimizerKind::adadelta: return {"mean_square_gradient", "mean_square_step"};
    }
    return {};
}

// Only parameters and gradients can be read in the network's dims. The optimizer's states have the
// layout of both, so they take the place of the gradients, which the next backward pass writes
// anew.
TrainerState capture(const StateHolders& holders, std::int64_t iteration,
                     const Communicator& world) {
    TrainerState state;
    state.iteration = iteration;
    state.statistics = gather_rows(holders.ops.state(), world);
    state.random = gather_rows(holders.ops.random_state(), world);
    if (!world.is_root()) {
        return state;
    }
    for (const Parameter& parameter : holders.network.parameters()) {
        std::vector<float>& values =
            state.parameters.emplace_back(static_cast<std::size_t>(parameter.elements()));
        holders.ops.export_parameter(parameter.id, values);
    }
    for (std::size_t k = 0; k < holders.optimizer.states(); ++k) {
        copy(holders.optimizer.state(k), holders.gradients);
        std::vector<std::vector<float>>& all = state.optimizer.emplace_back();
        for (const Parameter& parameter : holders.network.parameters()) {
            std::vector<float>& values =
                all.emplace_back(static_cast<std::size_t>(parameter.elements()));
            holders.ops.export_gradient(parameter.id, values);
        }
    }
    return state;
}

TrainerState share(TrainerState state, const Communicator& world) {
    state.iteration = world.broadcast(state.iteration);
    share_vector(state.parameters, world);
    share_vector(state.optimizer, world);
    share_vector(state.statistics, world);
    share_vector(state.random, world);
    return state;
}

// Only parameters can be written in the network's dims: each state of the optimizer passes through
// them, and they come last. A parameter that is to keep its initial values waits on the host.
void restore(const StateHolders& holders, const TrainerState& state, int rank) {
    std::vector<float> initial(holders.parameters.span().size);
    holders.parameters.download(0, initial);
    LL_VALIDATE(state.optimizer.size() <= holders.optimizer.states(), ExitCode::bad_data,
                text("a state of ", state.optimizer.size(),
                     " vectors per parameter (this "
                     "optimizer keeps ",
                     holders.optimizer.states(), ")"));
    for (std::size_t k = 0; k < state.optimizer.size(); ++k) {
        import_all(holders, zeros_where_empty(holders.network, state.optimizer[k]));
        copy(holders.parameters, holders.optimizer.state(k));
    }
    holders.parameters.upload(0, initial);
    import_all(holders, state.parameters);
    if (const auto mine = static_cast<std::size_t>(rank); mine < state.statistics.size()) {
        holders.ops.set_state(state.statistics[mine]);
    }
    if (const auto mine = static_cast<std::size_t>(rank); mine < state.random.size()) {
        holders.ops.set_random_state(state.random[mine]);
    }
}

}  // namespace layerledger
