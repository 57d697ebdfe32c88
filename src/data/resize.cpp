#include "resize.hpp"

#include <algorithm>
#include <cmath>

#include "layerledger/base/contract.hpp"

namespace layerledger {
namespace {

/// Floats that a pixel takes between the two passes: what fits a register of the processor.
constexpr std::size_t lanes = 4;

}  // namespace

void Resizer::Filter::prepare(int pixels, double start, double length, int to) {
    const double scale = length / to;
    const double reach = std::max(scale, 1.0);
    const auto last_start = [&](std::size_t count) { return pixels - static_cast<int>(count); };
    // A centre lies between two pixels at least; as many whole pixels as 2 * reach can cover.
    taps = static_cast<std::size_t>(
        std::min(pixels, std::max(2, static_cast<int>(std::ceil(2 * reach)))));
    const auto outputs = static_cast<std::size_t>(to);
    first.resize(outputs);
    weights.resize(outputs * taps);
    for (std::size_t i = 0; i < outputs; ++i) {
        const double centre = start + (static_cast<double>(i) + 0.5) * scale;
        // The first pixel whose own centre lies above centre - reach.
        const int begin =
            std::clamp(static_cast<int>(std::floor(centre - reach + 0.5)), 0, last_start(taps));
        float* weight = &weights[i * taps];
        double sum = 0;
        for (std::size_t t = 0; t < taps; ++t) {
            const double distance = std::abs(begin + static_cast<double>(t) + 0.5 - centre) / reach;
            weight[t] = static_cast<float>(std::max(0.0, 1.0 - distance));
            sum += weight[t];
        }
        for (std::size_t t = 0; t < taps; ++t) {
            weight[t] = static_cast<float>(weight[t] / sum);
        }
        first[i] = static_cast<std::size_t>(begin);
    }
}

void Resizer::Filter::reverse() {
    std::reverse(first.begin(), first.end());
    for (std::size_t i = 0, j = first.size() - 1; i < j; ++i, --j) {
        std::swap_ranges(&weights[i * taps], &weights[i * taps] + taps, &weights[j * taps]);
    }
}

/// Output row `row` of the columns `from` to `from + count`, into line_.
void Resizer::resize_columns(const PixelView& image, std::size_t row, std::size_t from,
                             std::size_t count) {
    const auto depth = static_cast<std::size_t>(image.channels);
    const std::size_t stride = static_cast<std::size_t>(image.extent.width) * depth;
    const std::size_t values = count * depth;
    const std::uint8_t* source = image.pixels + vertical_.first[row] * stride + from * depth;
    const float* weight = &vertical_.weights[row * vertical_.taps];
    float* line = line_.data();
    if (vertical_.taps == 1) {
        for (std::size_t i = 0; i < values; ++i) {
            line[i] = weight[0] * static_cast<float>(source[i]);
        }
        return;
    }
    const std::uint8_t* next = source + stride;
    for (std::size_t i = 0; i < values; ++i) {
        line[i] =
            weight[0] * static_cast<float>(source[i]) + weight[1] * static_cast<float>(next[i]);
    }
    for (std::size_t t = 2; t < vertical_.taps; ++t) {
        source = image.pixels + (vertical_.first[row] + t) * stride + from * depth;
        for (std::size_t i = 0; i < values; ++i) {
            line[i] += weight[t] * static_cast<float>(source[i]);
        }
    }
}

/// line_, which begins at column `from`, to row_.
template <std::size_t channels>
void Resizer::resize_row(std::size_t from, std::size_t width) {
    const std::size_t taps = horizontal_.taps;
    const float* weight = horizontal_.weights.data();
    for (std::size_t x = 0; x < width; ++x, weight += taps) {
        const float* source = &line_[(horizontal_.first[x] - from) * channels];
        std::array<float, lanes> sum{};
        for (std::size_t t = 0; t < taps; ++t, source += channels) {
            // A whole register: what it holds beyond the channels is never read.
            for (std::size_t k = 0; k < (channels == 1 ? 1 : lanes); ++k) {
                sum[k] += weight[t] * source[k];
            }
        }
        std::copy(sum.begin(), sum.end(), &row_[x * lanes]);
    }
}

void Resizer::resize(const PixelView& image, const View& window, const Scaling& scaling,
                     std::span<float> planes, PixelExtent to) {
    const auto width = static_cast<std::size_t>(to.width);
    const auto height = static_cast<std::size_t>(to.height);
    const auto depth = static_cast<std::size_t>(image.channels);
    LL_EXPECT(depth == 1 || depth == 3);
    LL_EXPECT(planes.size() == depth * width * height);
    horizontal_.prepare(image.extent.width, window.left, window.width, to.width);
    vertical_.prepare(image.extent.height, window.top, window.height, to.height);
    const std::size_t from = horizontal_.first.front();
    const std::size_t count = horizontal_.first.back() + horizontal_.taps - from;
    if (window.mirrored) {
        horizontal_.reverse();
    }
    line_.resize(count * depth + lanes);
    row_.resize(width * lanes);

    for (std::size_t y = 0; y < height; ++y) {
        resize_columns(image, y, from, count);
        depth == 1 ? resize_row<1>(from, width) : resize_row<3>(from, width);
        for (std::size_t c = 0; c < depth; ++c) {
            float* out = &planes[(c * height + y) * width];
            const float factor = scaling.factor[c];
            const float shift = scaling.shift[c];
            const float* value = &row_[c];
            for (std::size_t x = 0; x < width; ++x) {
                out[x] = value[x * lanes] * factor + shift;
            }
        }
    }
}

}  // namespace layerledger
