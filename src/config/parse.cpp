// The sources of settings, from the weakest to the strongest.
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "assignment.hpp"
#include "ini.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "options.hpp"
#include "setting_table.hpp"

namespace layerledger {
namespace {

using config::Assignment;

constexpr std::string_view environment_prefix = "LAYERLEDGER_";

std::string read_whole_file(const std::string& path) {
    const bool exists = std::filesystem::exists(path);
    std::ifstream in(path);
    LL_VALIDATE(exists && in.is_open() && !std::filesystem::is_directory(path),
                ExitCode::input_missing,
                text("cannot read the config file '", path, "' (",
                     !exists                               ? "there is no such file"
                     : std::filesystem::is_directory(path) ? "it is a folder"
                                                           : "no permission",
                     "); check --config"));
    return {std::istreambuf_iterator<char>(in), {}};
}

void append_file(std::vector<Assignment>& assignments, const std::string& path) {
    for (config::IniEntry& entry : config::read_ini(read_whole_file(path), path)) {
        assignments.push_back(
            {std::move(entry.key), std::move(entry.value), text(path, ":", entry.line)});
    }
}

// LAYERLEDGER_TRAIN__BATCH_SIZE for train.batch_size.
std::string variable_of(std::string_view key) {
    std::string name(environment_prefix);
    for (const char c : key) {
        name += c == '.'
                    ? std::string("__")
                    : std::string{static_cast<char>(std::toupper(static_cast<unsigned char>(c)))};
    }
    return name;
}

void append_environment(std::vector<Assignment>& assignments,
                        const std::vector<std::string>& environment) {
    const auto& table = config::setting_table();
    for (const std::string& line : environment) {
        if (!line.starts_with(environment_prefix)) {
            continue;
        }
        const std::size_t equals = std::min(line.find('='), line.size());
        const std::string variable = line.substr(0, equals);
        const auto setting = std::find_if(table.begin(), table.end(), [&](const auto& candidate) {
            return variable_of(candidate.key) == variable;
        });
        const std::string origin = text("environment ", variable);
        if (setting == table.end()) {
            std::vector<std::string> variables;
            for (const config::Setting& known : table) {
                variables.push_back(variable_of(known.key));
            }
            config::refuse_unknown(variable, "environment", nearest(variable, variables));
        }
        assignments.push_back(
            {setting->key, line.substr(std::min(equals + 1, line.size())), origin});
    }
}

}  // namespace

ParsedCommandLine parse_command_line(const std::vector<std::string>& arguments,
                                     const std::vector<std::string>& environment) {
    const config::Options options = config::read_options(arguments);
    ParsedCommandLine parsed;
    parsed.help = options.help;
    parsed.print_config = options.print_config;
    parsed.dry_run = options.dry_run;
    if (parsed.help) {
        return parsed;
    }
    std::vector<Assignment> assignments;
    for (const std::string& path : options.config_files) {
        append_file(assignments, path);
    }
    append_environment(assignments, environment);
    assignments.insert(assignments.end(), options.assignments.begin(), options.assignments.end());
    parsed.experiment = config::resolve(assignments);
    return parsed;
}

Experiment parse_ini(const std::string& content) {
    std::vector<Assignment> assignments;
    for (config::IniEntry& entry : config::read_ini(content, "resolved settings")) {
        assignments.push_back({std::move(entry.key), std::move(entry.value), "resolved settings"});
    }
    return config::resolve(assignments);
}

std::vector<std::string> process_environment() {
    std::vector<std::string> lines;
    for (char** line = environ; line != nullptr && *line != nullptr; ++line) {
        lines.emplace_back(*line);
    }
    return lines;
}

}  // namespace layerledger
