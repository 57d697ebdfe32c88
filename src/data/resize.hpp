// Resizing of interleaved 8-bit pixels into planes of floats.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace layerledger {

/// The extent of an interleaved 8-bit image.
struct PixelExtent {
    int width = 0;
    int height = 0;
};

/// Resizes pixels[H, W, channels] to planes[channels, H', W'], values still 0 to 255. Bilinear with
/// pixel centres at i + 0.5; where the image shrinks, the triangle widens with the factor, so that
/// every source pixel counts (the filter of PIL's BILINEAR, without its rounding).
class Resizer {
public:
    void resize(std::span<const std::uint8_t> pixels, PixelExtent from, int channels,
                std::span<float> planes, PixelExtent to);

private:
    /// The source pixels first[i] .. first[i] + taps that make up output i, and their weights.
    struct Filter {
        int taps = 0;
        std::vector<int> first;
        std::vector<float> weights;

        void prepare(int from, int to);
    };

    Filter horizontal_;
    Filter vertical_;
    std::vector<float> rows_;  ///< [H, channels, W']: the image with its rows resized
};

}  // namespace layerledger
