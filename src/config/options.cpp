#include "options.hpp"

#include <algorithm>
#include <boost/program_options.hpp>
#include <boost/version.hpp>

#include "formats.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "setting_table.hpp"

namespace layerledger {
namespace config {
namespace {

namespace po = boost::program_options;

constexpr const char* origin = "command line";
constexpr unsigned line_width = 100;

po::options_description general_options() {
    po::options_description options("Options", line_width);
    options.add_options()                                                             //
        ("help,h", "show this text")                                                  //
        ("config", po::value<std::string>()->value_name("FILE"),                      //
         "read settings from an INI file; several: the last that sets a key counts")  //
        ("print-config", "show all settings as an INI file and end")                  //
        ("dry-run", "check settings, data, network and memory, and end without training");
    return options;
}

// A symbol for what a setting takes.
const char* placeholder(const Setting& setting) {
    if (!setting.words.empty()) {
        return "WORD";
    }
    if (setting.is_flag) {
        return "BOOL";
    }
    return setting.takes.find("number") == std::string::npos ? "TEXT" : "N";
}

// One group a section. Values stay text: the table turns them into what they mean.
std::vector<po::options_description> setting_options() {
    std::vector<po::options_description> groups;
    const Experiment defaults;
    std::string_view section;
    for (const Setting& setting : setting_table()) {
        if (setting.section() != section) {
            section = setting.section();
            groups.emplace_back(std::string(section), line_width);
        }
        auto* value = po::value<std::string>()->value_name(placeholder(setting));
        const std::string fallback = setting.show(defaults);
        if (!fallback.empty()) {
            value->default_value(fallback);
        }
        const std::string help =
            setting.words.empty() ? setting.help : text(setting.help, ": ", setting.words);
        groups.back().add_options()(setting.key.c_str(), value, help.c_str());
    }
    return groups;
}

// Boost takes neither a flag without a value, when the next word could be one, nor an empty value
// after '='. Both are spelled out for it here.
std::vector<std::string> spelled_out(const std::vector<std::string>& arguments) {
    std::vector<std::string> words;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        words.push_back(word);
        if (!word.starts_with("--")) {
            continue;
        }
        const Setting* setting = find_setting(std::string_view(word).substr(2));
        const bool has_value = i + 1 < arguments.size() && !arguments[i + 1].starts_with('-');
        if (setting != nullptr && setting->is_flag && !has_value) {
            words.emplace_back("true");
        } else if (word.ends_with('=') && word.find('=') == word.size() - 1) {
            words.back().pop_back();
            words.emplace_back();
        }
    }
    return words;
}

[[noreturn]] void refuse_unknown_option(const std::string& option) {
    const std::size_t begin = std::min(option.find_first_not_of('-'), option.size());
    const std::string name = option.substr(begin, option.find('=', begin) - begin);
    if (name.find('.') != std::string::npos) {
        refuse_unknown(name, origin, nearest_key(name));
    }
    const po::options_description general = general_options();
    std::vector<std::string> names;
    for (const auto& known : general.options()) {
        names.push_back(known->long_name());
    }
    std::string guess = nearest(name, names);
    if (guess.empty()) {
        guess = nearest_key(name);
    }
    throw Error(ExitCode::usage,
                text("unknown option '", option.substr(0, begin), name, "' (", origin, "); ",
                     guess.empty() ? "see 'layerledger train --help'"
                                   : text("did you mean '--", guess, "'?")));
}

std::vector<po::option> parse(const std::vector<std::string>& arguments) {
    po::options_description all = general_options();
    for (const po::options_description& group : setting_options()) {
        all.add(group);
    }
    // A guessed option would let a script work until the day a longer name is added.
    constexpr int style =
        po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    try {
        return po::command_line_parser(spelled_out(arguments))
            .options(all)
            .style(style)
            .run()
            .options;
    } catch (const po::unknown_option& error) {
        refuse_unknown_option(error.get_option_name());
    } catch (const po::invalid_command_line_syntax& error) {
        const bool is_missing = error.kind() == po::invalid_syntax::missing_parameter;
        throw Error(ExitCode::usage, text("option '", error.get_option_name(),
                                          is_missing ? "' has no value (" : "' takes no value (",
                                          origin, "); see '", "layerledger train --help'"));
    } catch (const po::error& error) {
        throw Error(ExitCode::usage,
                    text(error.what(), " (", origin, "); see 'layerledger train --help'"));
    }
}

}  // namespace

Options read_options(const std::vector<std::string>& arguments) {
    Options options;
    for (const po::option& option : parse(arguments)) {
        if (option.string_key.empty()) {
            throw Error(ExitCode::usage,
                        text("stray word '", option.value.empty() ? "--" : option.value.front(),
                             "' (", origin, "); settings are given as --section.key VALUE"));
        }
        if (option.string_key == "help") {
            options.help = true;
        } else if (option.string_key == "print-config") {
            options.print_config = true;
        } else if (option.string_key == "dry-run") {
            options.dry_run = true;
        } else if (option.string_key == "config") {
            options.config_files.push_back(option.value.front());
        } else {
            const bool is_repeated =
                std::any_of(options.assignments.begin(), options.assignments.end(),
                            [&](const Assignment& a) { return a.key == option.string_key; });
            LL_VALIDATE(
                !is_repeated, ExitCode::configuration,
                text(option.string_key, " is set twice (", origin, "); keep one of the two"));
            options.assignments.push_back({option.string_key, option.value.front(), origin});
        }
    }
    return options;
}

}  // namespace config

std::string settings_help() {
    std::string help = text(config::general_options());
    help +=
        "\nEvery setting can be given as an option, as LAYERLEDGER_SECTION__KEY in the environment "
        "or in\nan INI file, and counts in this order.\n";
    for (const auto& group : config::setting_options()) {
        help += text("\n", group);
    }
    return help;
}

std::string boost_version() {
    return text(BOOST_VERSION / 100000, ".", BOOST_VERSION / 100 % 1000, ".", BOOST_VERSION % 100);
}

}  // namespace layerledger
