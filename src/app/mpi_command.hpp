// What the subcommands that run on many ranks have in common.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "layerledger/base/error.hpp"
#include "layerledger/comm/communicator.hpp"
#include "layerledger/config/experiment.hpp"

namespace layerledger {

/// Starts MPI, runs `body` on every rank, ends MPI. An error that only one rank meets ends the
/// whole job from here. The settings among `arguments` say how long the start may take.
[[nodiscard]] ExitCode run_on_all_ranks(int& argc, char**& argv,
                                        const std::vector<std::string>& arguments,
                                        const std::function<ExitCode(Communicator&)>& body);

/// Ends the job because of an error that other ranks do not know of. Where several ranks fail at
/// once the lowest speaks.
/// How long it waits at most, on the highest ranks, for lower ones to speak.
inline constexpr std::chrono::seconds turns_of_give_up{5};
[[noreturn]] void give_up(const Communicator& world, ExitCode code, const std::string& what);

/// Rank 0 reads the command line, the environment and the files; the others get the outcome, so
/// that a mistake is reported once. `complete` adds, on rank 0, what else is known, before the
/// settings are looked at together. Empty where the command line asked for a text only, which is
/// shown then. Collective.
[[nodiscard]] std::optional<Experiment> read_settings(
    const Communicator& world, const std::string& subcommand,
    const std::vector<std::string>& arguments, bool& dry_run,
    const std::function<void(Experiment&)>& complete);

}  // namespace layerledger
