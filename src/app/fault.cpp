#include "fault.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <sstream>
#include <thread>

#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/base/waited.hpp"
#include "layerledger/comm/rank_map.hpp"
#include "mpi_command.hpp"

namespace layerledger {
namespace {

constexpr std::size_t most_named = 8;

/// `network` may be null where no place is in a layer.
std::string place_text(const Whereabouts::Place& place, const Network* network) {
    const auto of_layer = [&](const char* phase) {
        return text(phase, " of ", network->layers()[static_cast<std::size_t>(place.layer)].name);
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
            case Doing::pause: return "in a break or at the end";
            case Doing::validating: return "validating";
            case Doing::saving: return "saving a checkpoint";
        }
        return {};
    };
    if (place.doing == Doing::starting) {
        return what();
    }
    return text(is_outside_iterations(place.doing) ? "after" : "in", " iteration ", place.iteration,
                ", ", what());
}

/// "rank 1 on n1, rank 3 on n3 and 2 more".
std::string names(const std::vector<int>& ranks, const std::vector<std::string>& nodes) {
    std::string said;
    for (std::size_t i = 0; i < std::min(ranks.size(), most_named); ++i) {
        said += text(i == 0 ? "" : ", ", "rank ", ranks[i], " on ",
                     nodes[static_cast<std::size_t>(ranks[i])]);
    }
    return ranks.size() > most_named ? text(said, " and ", ranks.size() - most_named, " more")
                                     : said;
}

/// What a roll call has found: who said nothing, and who is there and does not go on.
std::string roll_text(const std::vector<std::optional<std::string>>& words, int self,
                      const std::vector<std::string>& nodes) {
    std::vector<int> missing;
    std::string stuck;
    for (std::size_t rank = 0; rank < words.size(); ++rank) {
        if (!words[rank]) {
            missing.push_back(static_cast<int>(rank));
        } else if (!words[rank]->empty() && static_cast<int>(rank) != self) {
            stuck += text("; rank ", rank, " on ", nodes[rank], " ", *words[rank]);
        }
    }
    return missing.empty() ? stuck
                           : text(stuck, "; nothing was heard of ", names(missing, nodes),
                                  " (lost, stopped or cut off, or in a transfer with one that is)");
}

/// As long as ranks that wait too, and one that is stuck, may be later than this one.
std::chrono::nanoseconds patience(double timeout_seconds) {
    return nanoseconds_of(std::min(1 + timeout_seconds / 10, 10.0));
}

/// Says `word` to the others, and what is heard of them.
std::string call_roll(const std::string& word, const Roll& roll) {
    std::string heard;
    try {
        heard = roll_text(roll.world.call_roll(Communicator::RollCall::after_a_wait, word,
                                               roll.speakers, patience(roll.timeout_seconds)),
                          roll.world.rank(), roll.nodes);
    } catch (const std::exception& problem) {
        log::warning(text("cannot ask who is missing (", problem.what(), ")"));
    }
    if (!is_speaker(roll)) {
        std::this_thread::sleep_for(turns_of_give_up);  // whoever knows more speaks first
    }
    return heard;
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
                                     place_text(place, &network), ": ", error.what())),
            error.met_here()};
}

Error explained(const std::exception& failure, const Whereabouts::Place& place,
                const Network& network, const Roll& roll) {
    const auto* error = dynamic_cast<const Error*>(&failure);
    const bool waited_in_vain = dynamic_cast<const DeadlineError*>(&failure) != nullptr;
    return {error != nullptr ? error->code() : ExitCode::internal,
            text(place_text(place, &network), ": ", failure.what(),
                 waited_in_vain ? call_roll("", roll) : std::string())};
}

Error stuck(std::chrono::nanoseconds for_time, const Whereabouts::Place& place,
            const Network& network, const Roll& roll) {
    const std::string word = text(place_text(place, &network), ": has not gone on for ",
                                  duration_text(std::chrono::duration<double>(for_time).count()));
    return {ExitCode::internal,
            text(word, " (a device, a disk or a library does not answer) look at the node",
                 call_roll(word, roll))};
}

Error silenced(const std::vector<Heartbeat::Silent>& silent, const Whereabouts::Place& place,
               const Network* network, const Roll& roll) {
    std::vector<int> ranks;
    for (const Heartbeat::Silent& one : silent) {
        ranks.push_back(one.rank);
    }
    const Whereabouts::Place last = Whereabouts::place_of(silent.front().word);
    return {
        ExitCode::internal,
        text(place_text(place, network), ": nothing was heard of ", names(ranks, roll.nodes),
             " for ", duration_text(roll.timeout_seconds),
             " (lost, stopped or cut off; the last "
             "sign of rank ",
             silent.front().rank, " came from ", place_text(last, network), ") look at its node")};
}

bool is_speaker(const Roll& roll) {
    return std::ranges::binary_search(roll.speakers, roll.world.rank());
}

std::string who_is_gone(const Roll& roll) {
    using namespace std::chrono_literals;
    try {
        return roll_text(
            roll.world.call_roll(Communicator::RollCall::at_the_end, "", roll.speakers, 300ms),
            roll.world.rank(), roll.nodes);
    } catch (const std::exception&) {
        return {};  // the connections are gone
    }
}

Error told_to_end(int signal, const Whereabouts::Place& place, const Network& network, bool is_kept,
                  const std::string& gone) {
    return {ExitCode::internal,
            text(place_text(place, &network), ": the process was told to end (", strsignal(signal),
                 ": a launcher says so where another rank is lost or the job is cancelled) ",
                 is_kept ? "what was committed is kept" : "nothing was committed yet", gone)};
}

}  // namespace layerledger
