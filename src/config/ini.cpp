#include "ini.hpp"

#include <algorithm>
#include <sstream>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::config {
namespace {

constexpr std::string_view blanks = " \t\r\n\v\f";

struct Place {
    const std::string& name;
    int line = 0;
};

[[noreturn]] void refuse(const std::string& problem, const Place& place,
                         const std::string& suggestion) {
    throw Error(ExitCode::configuration,
                text(problem, " (", place.name, ":", place.line, "); ", suggestion));
}

// A '#' at the start or after white space begins a comment; one inside a word, as in a path, not.
std::string_view without_comment(std::string_view line) {
    for (std::size_t at = line.find('#'); at != line.npos; at = line.find('#', at + 1)) {
        if (at == 0 || blanks.find(line[at - 1]) != blanks.npos) {
            return line.substr(0, at);
        }
    }
    return line;
}

// What stands between double quotes, where \" and \\ stand for themselves.
std::string unquoted(std::string_view word, const Place& place) {
    std::string value;
    for (std::size_t at = 1; at < word.size(); ++at) {
        if (word[at] == '"') {
            if (!trimmed(without_comment(word.substr(at + 1))).empty()) {
                refuse("text after a closing quote", place, "leave nothing but a comment there");
            }
            return value;
        }
        if (word[at] == '\\' && at + 1 < word.size()) {
            ++at;
        }
        value += word[at];
    }
    refuse("a quote is never closed", place, "end the value with '\"'");
}

std::string read_section(std::string_view line, const Place& place) {
    const std::string_view header = trimmed(without_comment(line));
    if (!header.ends_with(']')) {
        refuse(text("'", header, "' is no section"), place, "write [name]");
    }
    return std::string(trimmed(header.substr(1, header.size() - 2)));
}

}  // namespace

std::string_view trimmed(std::string_view word) {
    const std::size_t first = word.find_first_not_of(blanks);
    if (first == word.npos) {
        return {};
    }
    return word.substr(first, word.find_last_not_of(blanks) - first + 1);
}

std::vector<IniEntry> read_ini(const std::string& content, const std::string& name) {
    std::vector<IniEntry> entries;
    std::istringstream in(content);
    std::string section;
    Place place{name};
    for (std::string raw; std::getline(in, raw);) {
        ++place.line;
        const std::string_view line = trimmed(raw);
        if (line.empty() || line.front() == '#') {
            continue;
        }
        if (line.front() == '[') {
            section = read_section(line, place);
            continue;
        }
        const std::size_t equals = line.find('=');
        const std::string_view word = trimmed(line.substr(0, equals));
        if (equals == line.npos || word.empty()) {
            refuse(text("'", line, "' is neither a section nor a setting"), place,
                   "write key = value");
        }
        const std::string_view rest = trimmed(line.substr(equals + 1));
        IniEntry entry{section.empty() ? std::string(word) : text(section, ".", word),
                       rest.starts_with('"') ? unquoted(rest, place)
                                             : std::string(trimmed(without_comment(rest))),
                       place.line};
        const auto earlier =
            std::find_if(entries.begin(), entries.end(),
                         [&](const IniEntry& other) { return other.key == entry.key; });
        LL_VALIDATE(earlier == entries.end(), ExitCode::configuration,
                    text(entry.key, " is set twice (", name, ":", earlier->line, " and ", name, ":",
                         place.line, "); keep one of the two"));
        entries.push_back(std::move(entry));
    }
    return entries;
}

std::string ini_value(const std::string& value) {
    if (trimmed(value) == value && !value.starts_with('"') &&
        value.find('#') == std::string::npos) {
        return value;
    }
    std::string quoted = "\"";
    for (const char c : value) {
        quoted += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
    }
    return quoted + '"';
}

}  // namespace layerledger::config
