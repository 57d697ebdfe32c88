#include "layerledger/timeline/overhead.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <vector>

namespace layerledger {
namespace {

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// How many of `n` sorted values to leave out at each end so that the rest holds the median with
/// at least 95 % confidence; negative when even the whole range does not.
int trimmed_ranks(std::size_t n) {
    // Each value falls below the median with probability 1/2: the tail is a binomial sum. Its terms
    // are made from logarithms, since 2^-n is 0 to a double long before pairs run out.
    const auto log_factorial = [](std::size_t k) {
        return std::lgamma(static_cast<double>(k) + 1);
    };
    const auto log_term = [&](std::size_t k) {
        return log_factorial(n) - log_factorial(k) - log_factorial(n - k) -
               static_cast<double>(n) * std::numbers::ln2;
    };
    int ranks = -1;
    double tail = 0;
    for (std::size_t k = 0; k <= n; ++k) {
        tail += std::exp(log_term(k));
        if (tail > 0.025) {
            break;
        }
        ranks = static_cast<int>(k);
    }
    return ranks;
}

}  // namespace

std::optional<Overhead> estimate_overhead(std::span<const CheckedIteration> iterations) {
    struct Pair {
        std::vector<double> profiled, unprofiled;
    };
    std::map<std::int64_t, Pair> pairs;
    std::vector<double> unprofiled;
    double measurement_us = 0;
    double profiled_iterations = 0;
    for (const CheckedIteration& iteration : iterations) {
        measurement_us += iteration.measurement_us;
        if (iteration.profiled) {
            ++profiled_iterations;
        } else {
            unprofiled.push_back(iteration.time_us);
        }
        if (iteration.pair) {
            Pair& pair = pairs[*iteration.pair];
            (iteration.profiled ? pair.profiled : pair.unprofiled).push_back(iteration.time_us);
        }
    }

    std::vector<double> excess;
    for (const auto& [number, pair] : pairs) {
        if (!pair.profiled.empty() && !pair.unprofiled.empty()) {
            excess.push_back(median(pair.profiled) / median(pair.unprofiled) - 1);
        }
    }
    const int trimmed = trimmed_ranks(excess.size());
    if (trimmed < 0) {
        return std::nullopt;
    }
    std::sort(excess.begin(), excess.end());
    const double measurement = measurement_us / profiled_iterations / median(unprofiled);
    const auto percent = [measurement](double ratio) { return (ratio + measurement) * 100; };
    const auto low = static_cast<std::size_t>(trimmed);
    return Overhead{percent(median(excess)), percent(excess[low]),
                    percent(excess[excess.size() - 1 - low]), measurement * 100,
                    static_cast<std::int64_t>(excess.size())};
}

}  // namespace layerledger
