#include "formats.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>

#include "ini.hpp"

namespace layerledger::config {
namespace {

bool is_one_line(const std::string& word) {
    return std::none_of(word.begin(), word.end(),
                        [](unsigned char c) { return std::iscntrl(c) != 0; });
}

}  // namespace

std::optional<double> Real::read(const std::string& word) const {
    const std::optional<double> value = read_number<double>(word);
    if (!value || !std::isfinite(*value) || *value < low || *value > high ||
        (*value == low && !low_included) || (*value == high && !high_included)) {
        return std::nullopt;
    }
    return value;
}

// The shortest text that reads back to the same number.
std::string Real::show(double value) const {
    std::array<char, 32> digits{};
    const auto [end, status] =
        std::to_chars(digits.begin(), digits.end(), value, std::chars_format::general);
    return {digits.begin(), end};
}

std::string Real::takes() const {
    const std::string from = text(low_included ? "a number of at least " : "a number above ", low);
    return std::isfinite(high) ? text(from, high_included ? " and at most " : " and below ", high)
                               : from;
}

std::optional<bool> Flag::read(const std::string& word) const {
    for (const char* yes : {"true", "on", "yes", "1"}) {
        if (word == yes) {
            return true;
        }
    }
    for (const char* no : {"false", "off", "no", "0"}) {
        if (word == no) {
            return false;
        }
    }
    return std::nullopt;
}

std::optional<std::string> Text::read(const std::string& word) const {
    return is_one_line(word) ? std::optional(word) : std::nullopt;
}

std::optional<std::string> FileName::read(const std::string& word) const {
    const bool is_name = !word.empty() && word.find('/') == std::string::npos && word != "." &&
                         word != ".." && is_one_line(word);
    return is_name ? std::optional(word) : std::nullopt;
}

std::optional<List::Value> List::read(const std::string& word) const {
    if (!is_one_line(word)) {
        return std::nullopt;
    }
    Value items;
    std::istringstream in(word);
    for (std::string item; std::getline(in, item, ',');) {
        items.emplace_back(trimmed(item));
    }
    const bool has_gap =
        word.ends_with(',') || std::find(items.begin(), items.end(), std::string{}) != items.end();
    return has_gap ? std::nullopt : std::optional(items);
}

std::string List::show(const Value& value) const {
    std::string joined;
    for (const std::string& item : value) {
        joined += (joined.empty() ? "" : ",") + item;
    }
    return joined;
}

std::optional<std::string> OneOf::read(const std::string& word) const {
    const bool known = std::find(words.begin(), words.end(), word) != words.end();
    return known ? std::optional(word) : std::nullopt;
}

std::string OneOf::takes() const {
    std::string joined;
    for (const std::string& word : words) {
        joined += (joined.empty() ? "" : " | ") + word;
    }
    return joined;
}

}  // namespace layerledger::config
