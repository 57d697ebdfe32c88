// What one window of iterations says: which rank is slower than the others, and in what.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace layerledger {

/// Each rank against the others, iteration by iteration: `[iteration][column][rank]`.
struct WindowTimes {
    std::size_t ranks = 0;
    std::size_t layer_columns = 0;
    std::size_t columns = 0;           ///< those of the layers first, then those of other causes
    std::span<const float> excess_us;  ///< above the median of the other ranks
    std::span<const float> others_us;  ///< that median
};

struct Delay {
    std::size_t rank = 0;
    std::size_t column = 0;  ///< `columns` itself: all layers of the rank
    double percent = 0;
    double excess_us = 0;
};

struct WindowVerdict {
    std::vector<Delay> delays;
    /// Of each layer's column, in percent of its time: from what excess on one rank it is named.
    std::vector<float> needed_percent;
};

[[nodiscard]] WindowVerdict judge(const WindowTimes& times);

}  // namespace layerledger
