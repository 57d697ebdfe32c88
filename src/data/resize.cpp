#include "resize.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "layerledger/base/contract.hpp"

namespace layerledger {

void Resizer::Filter::prepare(int from, int to) {
    const double scale = static_cast<double>(from) / to;
    const double reach = std::max(scale, 1.0);
    taps = std::min(from, static_cast<int>(std::ceil(2 * reach)) + 1);
    first.resize(static_cast<std::size_t>(to));
    weights.resize(static_cast<std::size_t>(to) * static_cast<std::size_t>(taps));
    for (int i = 0; i < to; ++i) {
        const double centre = (i + 0.5) * scale;
        const int start = std::clamp(static_cast<int>(std::floor(centre - reach)), 0, from - taps);
        float* weight = &weights[static_cast<std::size_t>(i) * static_cast<std::size_t>(taps)];
        double sum = 0;
        for (int t = 0; t < taps; ++t) {
            const double distance = std::abs(start + t + 0.5 - centre) / reach;
            weight[t] = static_cast<float>(std::max(0.0, 1.0 - distance));
            sum += weight[t];
        }
        for (int t = 0; t < taps; ++t) {
            weight[t] = static_cast<float>(weight[t] / sum);
        }
        first[static_cast<std::size_t>(i)] = start;
    }
}

void Resizer::resize(std::span<const std::uint8_t> pixels, PixelExtent from, int channels,
                     std::span<float> planes, PixelExtent to) {
    const auto from_width = static_cast<std::size_t>(from.width);
    const auto from_height = static_cast<std::size_t>(from.height);
    const auto width = static_cast<std::size_t>(to.width);
    const auto height = static_cast<std::size_t>(to.height);
    const auto depth = static_cast<std::size_t>(channels);
    LL_EXPECT(pixels.size() == from_width * from_height * depth);
    LL_EXPECT(planes.size() == depth * width * height);
    horizontal_.prepare(from.width, to.width);
    vertical_.prepare(from.height, to.height);
    rows_.resize(from_height * depth * width);

    const auto across = static_cast<std::size_t>(horizontal_.taps);
    for (std::size_t y = 0; y < from_height; ++y) {
        const std::uint8_t* row = &pixels[y * from_width * depth];
        for (std::size_t c = 0; c < depth; ++c) {
            float* out = &rows_[(y * depth + c) * width];
            for (std::size_t x = 0; x < width; ++x) {
                const std::uint8_t* source =
                    row + static_cast<std::size_t>(horizontal_.first[x]) * depth + c;
                const float* weight = &horizontal_.weights[x * across];
                float sum = 0;
                for (std::size_t t = 0; t < across; ++t) {
                    sum += weight[t] * static_cast<float>(source[t * depth]);
                }
                out[x] = sum;
            }
        }
    }

    const auto down = static_cast<std::size_t>(vertical_.taps);
    std::fill(planes.begin(), planes.end(), 0.0F);
    for (std::size_t c = 0; c < depth; ++c) {
        for (std::size_t y = 0; y < height; ++y) {
            float* out = &planes[(c * height + y) * width];
            for (std::size_t t = 0; t < down; ++t) {
                const float weight = vertical_.weights[y * down + t];
                const std::size_t row = static_cast<std::size_t>(vertical_.first[y]) + t;
                const float* source = &rows_[(row * depth + c) * width];
                for (std::size_t x = 0; x < width; ++x) {
                    out[x] += weight * source[x];
                }
            }
        }
    }
}

}  // namespace layerledger
