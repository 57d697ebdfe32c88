#include "mpi_command.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <string_view>
#include <system_error>
#include <thread>

#include "command_line.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/base/waited.hpp"
#include "layerledger/comm/mpi_session.hpp"
#include "layerledger/comm/rank_map.hpp"

namespace layerledger {
namespace {

/// True where a configuration may be read twice; a pipe may not.
bool is_file(const std::string& path) {
    std::error_code failure;
    return std::filesystem::is_regular_file(path, failure);
}

/// Before MPI there is nobody to ask for the settings: each rank reads its own. What is wrong with
/// them rank 0 says once, when they have met.
std::chrono::nanoseconds rendezvous_deadline(const std::vector<std::string>& arguments) {
    double seconds = SyncSettings{}.rendezvous_seconds;
    try {
        constexpr std::string_view option = "--config";
        bool is_path = false;
        for (const std::string& argument : arguments) {
            const bool has_path = argument.starts_with(text(option, '='));
            if (is_path || has_path) {
                if (!is_file(has_path ? argument.substr(option.size() + 1) : argument)) {
                    return nanoseconds_of(seconds);
                }
            }
            is_path = argument == option;
        }
        seconds =
            parse_command_line(arguments, process_environment()).experiment.sync.rendezvous_seconds;
    } catch (const std::exception&) {
        // See above.
    }
    return nanoseconds_of(seconds);
}

}  // namespace

void give_up(const Communicator& world, ExitCode code, const std::string& what) {
    // The lowest's turn is first, and the others' when they have heard of it: a launcher takes
    // seconds to end them.
    constexpr std::chrono::milliseconds turn{250};
    std::this_thread::sleep_for(
        std::min<std::chrono::milliseconds>(world.rank() * turn, turns_of_give_up));
    bool is_first = true;
    try {
        is_first = world.take_last_word();
    } catch (const std::exception&) {
        // The connections are gone: better said twice than never.
    }
    if (is_first) {
        log::error(text("rank ", world.rank(), " on ", node_name(), ": ", one_line(what)));
    }
    abort_job(code);
}

ExitCode run_on_all_ranks(int& argc, char**& argv, const std::vector<std::string>& arguments,
                          const std::function<ExitCode(Communicator&)>& body) {
    MpiSession session(argc, argv, rendezvous_deadline(arguments));
    Communicator world = Communicator::world();
    world.set_deadline(default_deadline);  // until the settings are read
    const auto end_with = [&session](ExitCode code) {
        session.set_exit_code(code);
        return code;
    };
    try {
        return end_with(body(world));
    } catch (const AgreedError& error) {
        if (error.met_here()) {
            log::error(one_line(error.what()));
        }
        return end_with(error.code());
    } catch (const Error& error) {
        give_up(world, error.code(), error.what());
    } catch (const std::exception& error) {
        give_up(world, ExitCode::internal, error.what());
    }
}

std::optional<Experiment> read_settings(const Communicator& world, const std::string& subcommand,
                                        const std::vector<std::string>& arguments, bool& dry_run,
                                        const std::function<void(Experiment&)>& complete) {
    std::string ini;
    bool go_on = true;
    Experiment experiment;
    world.agree_on_root([&] {
        ParsedCommandLine parsed = parse_command_line(arguments, process_environment());
        if (parsed.help) {
            std::cout << usage(find_subcommand(subcommand)) << "\n" << settings_help();
        } else {
            complete(parsed.experiment);
            require_consistent(parsed.experiment);
        }
        if (!parsed.help && parsed.print_config) {
            std::cout << parsed.experiment.to_ini();
        }
        go_on = !parsed.help && !parsed.print_config;
        dry_run = parsed.dry_run;
        experiment = std::move(parsed.experiment);
        ini = experiment.to_ini();
    });
    go_on = world.broadcast(static_cast<std::int64_t>(go_on)) != 0;
    dry_run = world.broadcast(static_cast<std::int64_t>(dry_run)) != 0;
    ini = world.broadcast(std::move(ini));
    if (!go_on) {
        return std::nullopt;
    }
    if (!world.is_root()) {
        experiment = parse_ini(ini);  // without origins, which only messages need
    }
    return experiment;
}

}  // namespace layerledger
