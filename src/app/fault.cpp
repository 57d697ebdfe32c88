#include "fault.hpp"

#include <algorithm>
#include <chrono>
#include <sstream>

#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/comm/rank_map.hpp"

namespace layerledger {
namespace {

constexpr std::size_t most_named = 8;

std::string place_text(const Whereabouts::Place& place, const Network& network) {
    const auto of_layer = [&](const char* phase) {
        return text(phase, " of ", network.layers()[static_cast<std::size_t>(place.layer)].name);
    };
    const auto what = [&]() -> std::string {
        switch (place.doing) {
            case Doing::starting: return "before the first iteration";
            case Doing::input: return "waiting for input";
            case Doing::forward: return of_layer("forward");
            case Doing::backward: return of_layer("backward");
            case Doing::gradients: return "waiting for the gradients of other ranks";
            case Doing::update: return of_layer("update");
            case Doing::rest: return "between computations";
        }
        return {};
    };
    return place.doing == Doing::starting ? what()
                                          : text("in iteration ", place.iteration, ", ", what());
}

std::string missing_text(const std::vector<int>& missing, const std::vector<std::string>& nodes) {
    std::string said;
    for (std::size_t i = 0; i < std::min(missing.size(), most_named); ++i) {
        said += text(i == 0 ? "; nothing was heard of " : ", ", "rank ", missing[i], " on ",
                     nodes[static_cast<std::size_t>(missing[i])]);
    }
    if (missing.size() > most_named) {
        said += text(" and ", missing.size() - most_named, " more");
    }
    return missing.empty() ? said
                           : said +
                                 " (lost, stopped or cut off, or in a "
                                 "transfer with one that is)";
}

/// As long as ranks that wait too may be later than this one.
std::chrono::nanoseconds patience(double timeout_seconds) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(std::clamp(timeout_seconds / 10, 1.0, 10.0)));
}

}  // namespace

std::vector<std::string> nodes_of_ranks(const Communicator& world) {
    std::string joined;
    for (const std::string& node : world.gather(node_name())) {
        joined += node + '\n';
    }
    std::istringstream lines(world.broadcast(std::move(joined)));
    std::vector<std::string> nodes;
    for (std::string node; std::getline(lines, node);) {
        nodes.push_back(node);
    }
    return nodes;
}

AgreedError with_place(const AgreedError& error, const Whereabouts::Place& place,
                       const Network& network, const Communicator& world) {
    return {Error(error.code(), text("rank ", world.rank(), " on ", node_name(), " ",
                                     place_text(place, network), ": ", error.what())),
            error.met_here()};
}

Error explained(const std::exception& failure, const Whereabouts::Place& place,
                const Network& network, const Communicator& world,
                const std::vector<std::string>& nodes, double timeout_seconds) {
    const auto* error = dynamic_cast<const Error*>(&failure);
    std::string missing;
    if (dynamic_cast<const DeadlineError*>(&failure) != nullptr) {
        try {
            missing = missing_text(world.call_roll(patience(timeout_seconds)), nodes);
        } catch (const std::exception& problem) {
            log::warning(text("cannot ask who is missing (", problem.what(), ")"));
        }
    }
    return {error != nullptr ? error->code() : ExitCode::internal,
            text(place_text(place, network), ": ", failure.what(), missing)};
}

}  // namespace layerledger
