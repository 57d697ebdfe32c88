#include "class_choice.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

bool is_number(const std::string& word) {
    return std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::vector<std::string> first_of(std::vector<std::string> found, const std::string& word,
                                  const std::string& where) {
    std::size_t count = 0;
    const bool fits =
        std::from_chars(word.data(), word.data() + word.size(), count).ec == std::errc{};
    LL_VALIDATE(fits && count >= 2 && count <= found.size(), ExitCode::configuration,
                text("data.classes = ", word, " is out of range (", where, " has ", found.size(),
                     " classes) give 2 to ", found.size()));
    found.resize(count);
    return found;
}

std::vector<std::string> names_in(const std::string& file) {
    std::vector<std::string> names;
    for (const std::string& line : read_lines(file, "data.classes")) {
        if (const std::string name = line.substr(0, line.find_first_of(" \t")); !name.empty()) {
            names.push_back(name);
        }
    }
    LL_VALIDATE(names.size() >= 2, ExitCode::configuration,
                text("'", file, "' (data.classes) names ", names.size(),
                     " classes (at least two are needed)"));
    return names;
}

}  // namespace

std::vector<std::string> read_lines(const std::string& file, const char* purpose) {
    std::ifstream in(file);
    LL_VALIDATE(in && !std::filesystem::is_directory(file), ExitCode::input_missing,
                text("cannot read '", file, "' (", purpose, "; ",
                     in ? "it is a folder" : std::strerror(errno), ")"));
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) {
        if (line.ends_with('\r')) {
            line.pop_back();
        }
        lines.push_back(std::move(line));
    }
    return lines;
}

std::vector<std::string> choose_classes(const std::vector<std::string>& found,
                                        const std::vector<std::string>& wanted,
                                        const std::string& where) {
    if (wanted.empty()) {
        return found;
    }
    std::vector<std::string> names = wanted;
    if (wanted.size() == 1) {
        // One class is too few to be meant, so one word is a count or a file.
        if (is_number(wanted[0])) {
            return first_of(found, wanted[0], where);
        }
        LL_VALIDATE(
            !std::binary_search(found.begin(), found.end(), wanted[0]) ||
                std::filesystem::is_regular_file(wanted[0]),
            ExitCode::configuration,
            text("data.classes names one class, '", wanted[0], "' (at least two are needed)"));
        names = names_in(wanted[0]);
    }
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    LL_VALIDATE(twice == names.end(), ExitCode::configuration,
                text("data.classes names '", *twice, "' twice"));
    for (const std::string& name : names) {
        LL_VALIDATE(std::binary_search(found.begin(), found.end(), name), ExitCode::configuration,
                    text("data.classes names '", name, "' (", where, " has no such class",
                         did_you_mean(name, found), ")"));
    }
    return names;
}

}  // namespace layerledger
