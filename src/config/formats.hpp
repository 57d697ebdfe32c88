// How the value of a setting is written: each format reads one type of value, shows it so that it
// reads back to the same, and says in words what it takes.
#pragma once

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "layerledger/base/text.hpp"

namespace layerledger::config {

/// The whole word as a number, or nothing.
template <class Number>
[[nodiscard]] std::optional<Number> read_number(const std::string& word) {
    Number value{};
    const char* const end = word.data() + word.size();
    const auto [stop, status] = std::from_chars(word.data(), end, value);
    if (status != std::errc{} || stop != end) {
        return std::nullopt;
    }
    return value;
}

/// A whole number from `least` to `most`.
template <class Number>
struct Whole {
    using Value = Number;
    Number least = 0;
    Number most = std::numeric_limits<Number>::max();

    [[nodiscard]] std::optional<Number> read(const std::string& word) const {
        const std::optional<Number> value = read_number<Number>(word);
        return value && *value >= least && *value <= most ? value : std::nullopt;
    }
    [[nodiscard]] std::string show(Number value) const { return text(value); }
    [[nodiscard]] std::string takes() const {
        return most == std::numeric_limits<Number>::max()
                   ? text("a whole number of at least ", least)
                   : text("a whole number from ", least, " to ", most);
    }
};

/// A finite number from `low` (or above it) to below `high`.
struct Real {
    using Value = double;
    double low = 0;
    bool low_included = true;
    double high = std::numeric_limits<double>::infinity();
    bool high_included = false;

    [[nodiscard]] std::optional<double> read(const std::string& word) const;
    [[nodiscard]] std::string show(double value) const;
    [[nodiscard]] std::string takes() const;
};

struct Flag {
    using Value = bool;
    [[nodiscard]] std::optional<bool> read(const std::string& word) const;
    [[nodiscard]] std::string show(bool value) const { return value ? "true" : "false"; }
    [[nodiscard]] std::string takes() const { return "true or false"; }
};

/// Any text of one line.
struct Text {
    using Value = std::string;
    [[nodiscard]] std::optional<std::string> read(const std::string& word) const;
    [[nodiscard]] std::string show(const std::string& value) const { return value; }
    [[nodiscard]] std::string takes() const { return "a text of one line"; }
};

/// A text that can name a file.
struct FileName {
    using Value = std::string;
    [[nodiscard]] std::optional<std::string> read(const std::string& word) const;
    [[nodiscard]] std::string show(const std::string& value) const { return value; }
    [[nodiscard]] std::string takes() const { return "a name without '/'"; }
};

/// Texts between commas.
struct List {
    using Value = std::vector<std::string>;
    [[nodiscard]] std::optional<Value> read(const std::string& word) const;
    [[nodiscard]] std::string show(const Value& value) const;
    [[nodiscard]] std::string takes() const { return "names with commas between them"; }
};

/// One of several words.
struct OneOf {
    using Value = std::string;
    std::vector<std::string> words;

    [[nodiscard]] std::optional<std::string> read(const std::string& word) const;
    [[nodiscard]] std::string show(const std::string& value) const { return value; }
    [[nodiscard]] std::string takes() const;
};

/// One of several words, each of which stands for a value of an enumeration.
template <class Enum>
struct Choice {
    using Value = Enum;
    std::vector<std::pair<std::string, Enum>> names;

    [[nodiscard]] std::optional<Enum> read(const std::string& word) const {
        for (const auto& [name, value] : names) {
            if (name == word) {
                return value;
            }
        }
        return std::nullopt;
    }
    [[nodiscard]] std::string show(Enum shown) const {
        for (const auto& [name, value] : names) {
            if (value == shown) {
                return name;
            }
        }
        return {};
    }
    [[nodiscard]] std::string takes() const {
        OneOf words;
        for (const auto& [name, value] : names) {
            words.words.push_back(name);
        }
        return words.takes();
    }
};

}  // namespace layerledger::config
