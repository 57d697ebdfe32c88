#include "layerledger/base/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iomanip>
#include <numeric>
#include <vector>

namespace layerledger {
namespace {

// Levenshtein distance by one rolling row.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t substitution = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitution});
        }
    }
    return row.back();
}

}  // namespace

std::string fixed(double value, int decimals) {
    std::ostringstream out;
    out << std::fixed << std::setprecision(decimals) << value;
    return std::move(out).str();
}

std::string bytes_text(double bytes) {
    constexpr std::array units{"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    while (std::abs(bytes) >= 1024.0 && unit + 1 < units.size()) {
        bytes /= 1024.0;
        ++unit;
    }
    return text(fixed(bytes, unit == 0 ? 0 : 1), " ", units[unit]);
}

std::string duration_text(double seconds) {
    const auto whole = static_cast<std::int64_t>(std::llround(seconds));
    if (whole < 60) {
        return text(whole, " s");
    }
    const auto two_digits = [](std::int64_t v) { return text(v < 10 ? "0" : "", v); };
    if (whole < 3600) {
        return text(whole / 60, " min ", two_digits(whole % 60), " s");
    }
    return text(whole / 3600, " h ", two_digits(whole % 3600 / 60), " min");
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
    const std::string* best = nullptr;
    // Farther than a third of the word is a guess, not a correction.
    std::size_t limit = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const std::string& candidate : candidates) {
        const std::size_t distance = edit_distance(word, candidate);
        if (distance < limit) {
            limit = distance;
            best = &candidate;
        }
    }
    return best == nullptr ? std::string{} : *best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
    const std::string guess = nearest(word, candidates);
    return guess.empty() ? std::string{} : text("; did you mean '", guess, "'?");
}

}  // namespace layerledger
