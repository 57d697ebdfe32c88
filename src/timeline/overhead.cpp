#include "layerledger/timeline/overhead.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include "layerledger/timeline/median_interval.hpp"

namespace layerledger {
namespace {

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
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
    const std::optional<Interval> interval = median_interval(excess, 0.95);
    if (!interval) {
        return std::nullopt;
    }
    const double measurement = measurement_us / profiled_iterations / median(unprofiled);
    const auto percent = [measurement](double ratio) { return (ratio + measurement) * 100; };
    return Overhead{percent(median(excess)), percent(interval->low), percent(interval->high),
                    measurement * 100, static_cast<std::int64_t>(excess.size())};
}

}  // namespace layerledger
