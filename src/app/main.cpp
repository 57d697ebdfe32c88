// The command `layerledger`: finds the subcommand, runs it, and turns what went wrong into one line
// and an exit code.
#include <iostream>

#include "check_command.hpp"
#include "close_command.hpp"
#include "command_line.hpp"
#include "export_command.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/config/experiment.hpp"
#include "networks_command.hpp"
#include "pack_command.hpp"
#include "summary_command.hpp"
#include "train_command.hpp"
#include "validate_command.hpp"
#include "version_command.hpp"

namespace layerledger {
namespace {

ExitCode show(const std::string& shown) {
    std::cout << shown;
    return ExitCode::ok;
}

ExitCode show_help(const Subcommand& subcommand) {
    return show(usage(subcommand) + (subcommand.name == "train" || subcommand.name == "validate"
                                         ? text("\n", settings_help())
                                         : std::string{}));
}

ExitCode run(int& argc, char**& argv) {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    LL_VALIDATE(!arguments.empty(), ExitCode::usage,
                "no subcommand is given (command line); see 'layerledger help'");
    std::string name = arguments.front();
    arguments.erase(arguments.begin());
    if (name == "--help" || name == "-h") {
        name = "help";
    } else if (name == "--version") {
        name = "version";
    }
    const Subcommand& subcommand = find_subcommand(name);
    if (name == "train") {
        return run_train_command(argc, argv, arguments);  // shows its help once, not on every rank
    }
    if (name == "validate") {
        return run_validate_command(argc, argv, arguments);
    }
    if (wants_help(arguments)) {
        return show_help(subcommand);
    }
    if (name == "pack") {
        return run_pack_command(arguments);
    }
    if (name == "close") {
        return run_close_command(arguments);
    }
    if (name == "summary") {
        return run_summary_command(only_file(subcommand, arguments));
    }
    if (name == "export") {
        return run_export_command(arguments);
    }
    if (name == "check") {
        return run_check_command(only_file(subcommand, arguments));
    }
    if (name == "networks") {
        return run_networks_command(arguments);
    }
    const std::size_t expected = name == "help" ? 1 : 0;
    LL_VALIDATE(arguments.size() <= expected, ExitCode::usage,
                text("stray word '", arguments[expected],
                     "' (command line); see 'layerledger help ", name, "'"));
    if (name == "help") {
        return arguments.empty() ? show(overview()) : show_help(find_subcommand(arguments.front()));
    }
    return show(version_text());
}

ExitCode complain(ExitCode code, const std::string& message) {
    std::cerr << "layerledger: error: " << one_line(message) << '\n';
    return code;
}

}  // namespace
}  // namespace layerledger

int main(int argc, char** argv) {
    using namespace layerledger;
    ExitCode code = ExitCode::ok;
    try {
        code = run(argc, argv);
        LL_VALIDATE(std::cout.flush(), ExitCode::data_lost,
                    "the output is incomplete (standard output takes no more); check the disk");
    } catch (const Error& error) {
        code = complain(error.code(), error.what());
    } catch (const std::exception& error) {
        code = complain(ExitCode::internal, error.what());
    }
    return static_cast<int>(code);
}
