#include "class_choice.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

constexpr std::string_view blanks = " \t";

bool is_number(const std::string& word) {
    return std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool contains(const std::vector<std::string>& sorted, const std::string& name) {
    return std::binary_search(sorted.begin(), sorted.end(), name);
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

/// A class that is asked for, and where.
struct Wish {
    std::string name;
    std::string source;
};

std::vector<Wish> wishes_in(const std::string& file, const std::vector<std::string>& found) {
    std::vector<Wish> wishes;
    std::size_t number = 0;
    for (const std::string& line : read_lines(file, "data.classes")) {
        ++number;
        const std::size_t begin = line.find_first_not_of(blanks);
        if (begin == std::string::npos) {
            continue;
        }
        const std::string words = line.substr(begin, line.find_last_not_of(blanks) + 1 - begin);
        std::string name = class_named_by(words, found);
        if (name.empty() && words.front() == '#') {
            continue;  // a comment
        }
        wishes.push_back({name.empty() ? words : name, text("'", file, "', line ", number, ",")});
    }
    LL_VALIDATE(wishes.size() >= 2, ExitCode::configuration,
                text("'", file, "' (data.classes) names ", wishes.size(),
                     wishes.size() == 1 ? " class" : " classes",
                     " (at least two are needed) write one name in each line"));
    return wishes;
}

std::vector<Wish> wishes_of(const std::vector<std::string>& wanted,
                            const std::vector<std::string>& found) {
    if (wanted.size() > 1) {
        std::vector<Wish> wishes;
        for (const std::string& name : wanted) {
            wishes.push_back({name, "data.classes"});
        }
        return wishes;
    }
    // One class is too few to be meant, so one word is a file.
    const std::string& word = wanted.front();
    const bool is_there = std::filesystem::exists(word);
    LL_VALIDATE(is_there || !contains(found, word), ExitCode::configuration,
                text("data.classes names one class, '", word,
                     "' (at least two are needed) add others, with commas between them"));
    LL_VALIDATE(is_there, ExitCode::input_missing,
                text("data.classes = '", word,
                     "' is no file (one word is a file of names or how many of the first, and "
                     "there is no such file) name two classes or more with commas between them, "
                     "or look at the file's name"));
    return wishes_in(word, found);
}

}  // namespace

std::string class_named_by(const std::string& words, const std::vector<std::string>& classes) {
    for (std::size_t end = words.size(); end != std::string::npos && end > 0;
         end = words.find_last_of(blanks, end - 1)) {
        std::string name = words.substr(0, end);
        if (contains(classes, name)) {
            return name;
        }
    }
    return {};
}

std::vector<std::string> read_lines(const std::string& file, const char* setting) {
    std::ifstream in(file);
    LL_VALIDATE(in && !std::filesystem::is_directory(file), ExitCode::input_missing,
                text("cannot read '", file, "' (", in ? "it is a folder" : std::strerror(errno),
                     ") look at ", setting));
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
    if (wanted.size() == 1 && is_number(wanted[0])) {
        return first_of(found, wanted[0], where);
    }
    std::vector<Wish> wishes = wishes_of(wanted, found);
    std::stable_sort(wishes.begin(), wishes.end(),
                     [](const Wish& a, const Wish& b) { return a.name < b.name; });
    const auto twice =
        std::adjacent_find(wishes.begin(), wishes.end(),
                           [](const Wish& a, const Wish& b) { return a.name == b.name; });
    LL_VALIDATE(twice == wishes.end(), ExitCode::configuration,
                text(std::next(twice)->source, " names '", twice->name,
                     "' a second time (each class counts once) name it once"));
    std::vector<std::string> names;
    for (Wish& wish : wishes) {
        LL_VALIDATE(contains(found, wish.name), ExitCode::configuration,
                    text(wish.source, " names '", wish.name, "' (", where, " has no such class",
                         did_you_mean(wish.name, found), ") take a name that is there"));
        names.push_back(std::move(wish.name));
    }
    return names;
}

}  // namespace layerledger
