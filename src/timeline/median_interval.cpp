#include "layerledger/timeline/median_interval.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace layerledger {
namespace {

/// How many of `n` sorted values to leave out at each end so that what falls below the rest, or
/// above, has at most the probability `tail`; negative when even the whole range has more.
int trimmed_ranks(std::size_t n, double tail) {
    // Each value falls below the median with probability 1/2: the tail is a binomial sum. Its terms
    // are made from logarithms, since 2^-n is 0 to a double long before values run out.
    const auto log_factorial = [](std::size_t k) {
        return std::lgamma(static_cast<double>(k) + 1);
    };
    const auto log_term = [&](std::size_t k) {
        return log_factorial(n) - log_factorial(k) - log_factorial(n - k) -
               static_cast<double>(n) * std::numbers::ln2;
    };
    int ranks = -1;
    double below = 0;
    for (std::size_t k = 0; k <= n; ++k) {
        below += std::exp(log_term(k));
        if (below > tail) {
            break;
        }
        ranks = static_cast<int>(k);
    }
    return ranks;
}

}  // namespace

std::optional<Interval> median_interval(std::vector<double> values, double confidence) {
    const int trimmed = trimmed_ranks(values.size(), (1 - confidence) / 2);
    if (trimmed < 0) {
        return std::nullopt;
    }
    std::ranges::sort(values);
    const auto low = static_cast<std::size_t>(trimmed);
    return Interval{values[low], values[values.size() - 1 - low]};
}

}  // namespace layerledger
