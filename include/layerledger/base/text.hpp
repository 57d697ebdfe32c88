// Building messages and numbers for people.
#pragma once

#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <string_view>

namespace layerledger {

/// Joins anything that can be streamed into one string.
template <class... Parts>
[[nodiscard]] std::string text(const Parts&... parts) {
    std::ostringstream out;
    (out << ... << parts);
    return std::move(out).str();
}

/// `value` with a fixed number of decimals: fixed(3.14159, 2) is "3.14".
[[nodiscard]] std::string fixed(double value, int decimals);

/// Bytes in binary units: "512 B", "1.5 KiB", "232.9 MiB".
[[nodiscard]] std::string bytes_text(double bytes);

/// A duration given in seconds: "45 s", "3 min 20 s", "2 h 05 min".
[[nodiscard]] std::string duration_text(double seconds);

/// The candidate with the smallest edit distance to `word`, or empty when none is close.
/// Used to answer a misspelt key, network or option with the name that was meant.
[[nodiscard]] std::string nearest(std::string_view word, std::span<const std::string> candidates);

/// " did you mean 'x'?" or, when nothing is near, an empty text.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       std::span<const std::string> candidates);

}  // namespace layerledger
