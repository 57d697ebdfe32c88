// The command line of a subcommand that takes settings, read by Boost.ProgramOptions.
#pragma once

#include <string>
#include <vector>

#include "assignment.hpp"

namespace layerledger::config {

struct Options {
    std::vector<std::string> config_files;
    std::vector<Assignment> assignments;
    bool help = false;
    bool print_config = false;
    bool dry_run = false;
};

/// Throws Error: usage for a stray word, an unknown option or an option without its value;
/// configuration for an unknown setting or one that is given twice.
[[nodiscard]] Options read_options(const std::vector<std::string>& arguments);

}  // namespace layerledger::config
