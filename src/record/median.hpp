#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace layerledger {

/// Median of the values that are there; NaN where none is. Reorders them and drops the absent.
template <class Number>
[[nodiscard]] double median(std::vector<Number>& values) {
    std::erase_if(values, [](Number value) { return std::isnan(value); });
    if (values.empty()) {
        return std::numeric_limits<double>::quiet_NaN();
    }
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    const double upper = *middle;
    return values.size() % 2 == 1 ? upper : (upper + *std::max_element(values.begin(), middle)) / 2;
}

}  // namespace layerledger
