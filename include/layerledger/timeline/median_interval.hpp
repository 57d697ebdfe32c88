// How sure a median is, whatever the distribution of its values.
#pragma once

#include <optional>
#include <vector>

namespace layerledger {

struct Interval {
    double low = 0;
    double high = 0;
};

/// Between the order statistics that hold the median of independent values with at least this
/// confidence (Conover, Practical Nonparametric Statistics, 3.2). Nothing where so few values
/// cannot be so sure: 95 % needs 6 of them.
[[nodiscard]] std::optional<Interval> median_interval(std::vector<double> values,
                                                      double confidence);

}  // namespace layerledger
