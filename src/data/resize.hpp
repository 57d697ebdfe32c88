// From a part of an interleaved 8-bit image to planes of floats.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "view.hpp"

namespace layerledger {

/// Pixels that somebody else holds: [height, width, channels], row after row.
struct PixelView {
    const std::uint8_t* pixels = nullptr;
    PixelExtent extent;
    int channels = 3;
};

/// What becomes of a value from 0 to 255: value * factor + shift, per channel.
struct Scaling {
    std::array<float, 3> factor{1, 1, 1};
    std::array<float, 3> shift{};
};

/// Resizes the window of an image to planes[channels, H', W']. Bilinear with pixel centres at
/// i + 0.5; where the window shrinks, the triangle widens with the factor, so that every source
/// pixel counts (the filter of PIL's resize(BILINEAR, box), without its rounding).
class Resizer {
public:
    /// 1 or 3 channels; the window lies within the image.
    void resize(const PixelView& image, const View& window, const Scaling& scaling,
                std::span<float> planes, PixelExtent to);

private:
    /// The source pixels first[i] .. first[i] + taps that make up output i, and their weights.
    struct Filter {
        std::size_t taps = 0;
        std::vector<std::size_t> first;
        std::vector<float> weights;

        void prepare(int pixels, double start, double length, int to);
        void reverse();
    };

    void resize_columns(const PixelView& image, std::size_t row, std::size_t from,
                        std::size_t count);

    Filter horizontal_;
    Filter vertical_;
    std::vector<float> line_;  ///< a line of the result before its columns are resized
};

}  // namespace layerledger
