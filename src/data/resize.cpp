#include "resize.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "layerledger/base/contract.hpp"

namespace layerledger {
namespace {

/// The channels of a pixel in a register of the processor: three and one that is not used.
using Pixel = float __attribute__((vector_size(16)));
constexpr std::size_t lanes = 4;

inline Pixel load(const float* values) {
    Pixel pixel;
    std::memcpy(&pixel, values, sizeof pixel);
    return pixel;
}

/// out[i] = first * a[i] + second * b[i].
LAYERLEDGER_WIDE void mix(const std::uint8_t* a, float first, const std::uint8_t* b, float second,
                          std::size_t count, float* out) {
    for (std::size_t i = 0; i < count; ++i) {
        out[i] = first * static_cast<float>(a[i]) + second * static_cast<float>(b[i]);
    }
}

/// out[i] += weight * a[i].
LAYERLEDGER_WIDE void add(const std::uint8_t* a, float weight, std::size_t count, float* out) {
    for (std::size_t i = 0; i < count; ++i) {
        out[i] += weight * static_cast<float>(a[i]);
    }
}

/// A line before its columns are resized, and how they are.
struct Line {
    const float* values;
    const std::size_t* first;
    const float* weights;
    std::size_t taps;
    std::size_t width;  ///< of the result
};

/// Three interleaved channels to three planes, scaled. Four pixels at a time change from channels
/// side by side to pixels side by side.
LAYERLEDGER_WIDE void resize_line(const Line& line, const Scaling& scaling,
                                  const std::array<float*, 3>& planes) {
    const Pixel factor{scaling.factor[0], scaling.factor[1], scaling.factor[2], 0};
    const Pixel shift{scaling.shift[0], scaling.shift[1], scaling.shift[2], 0};
    const auto pixel = [&](std::size_t x) __attribute__((always_inline)) {
        const float* source = line.values + line.first[x] * 3;
        const float* weight = line.weights + x * line.taps;
        Pixel sum = load(source) * weight[0];
        for (std::size_t t = 1; t < line.taps; ++t) {
            sum += load(source + 3 * t) * weight[t];
        }
        return sum * factor + shift;
    };
    std::size_t x = 0;
    for (; x + lanes <= line.width; x += lanes) {
        const Pixel a = pixel(x);
        const Pixel b = pixel(x + 1);
        const Pixel c = pixel(x + 2);
        const Pixel d = pixel(x + 3);
        const Pixel low_ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
        const Pixel low_cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
        const Pixel high_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
        const Pixel high_cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
        const std::array<Pixel, 3> channels{__builtin_shufflevector(low_ab, low_cd, 0, 1, 4, 5),
                                            __builtin_shufflevector(low_ab, low_cd, 2, 3, 6, 7),
                                            __builtin_shufflevector(high_ab, high_cd, 0, 1, 4, 5)};
        for (std::size_t k = 0; k < channels.size(); ++k) {
            std::memcpy(planes[k] + x, &channels[k], sizeof(Pixel));
        }
    }
    for (; x < line.width; ++x) {
        const Pixel last = pixel(x);
        for (std::size_t k = 0; k < planes.size(); ++k) {
            planes[k][x] = last[k];
        }
    }
}

/// The same of one channel.
LAYERLEDGER_WIDE void resize_grey_line(const Line& line, const Scaling& scaling, float* plane) {
    for (std::size_t x = 0; x < line.width; ++x) {
        const float* source = line.values + line.first[x];
        const float* weight = line.weights + x * line.taps;
        float sum = 0;
        for (std::size_t t = 0; t < line.taps; ++t) {
            sum += weight[t] * source[t];
        }
        plane[x] = sum * scaling.factor[0] + scaling.shift[0];
    }
}

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

    // From here on the columns are counted from the first that is needed.
    for (std::size_t& first : horizontal_.first) {
        first -= from;
    }
    const Line line{line_.data(), horizontal_.first.data(), horizontal_.weights.data(),
                    horizontal_.taps, width};
    const auto plane = [&](std::size_t channel, std::size_t y) {
        return &planes[(channel * height + y) * width];
    };
    for (std::size_t y = 0; y < height; ++y) {
        resize_columns(image, y, from, count);
        if (depth == 1) {
            resize_grey_line(line, scaling, plane(0, y));
        } else {
            resize_line(line, scaling, {plane(0, y), plane(1, y), plane(2, y)});
        }
    }
}

/// Line `row` of the result, of `count` columns from `from` on, into line_.
void Resizer::resize_columns(const PixelView& image, std::size_t row, std::size_t from,
                             std::size_t count) {
    const auto depth = static_cast<std::size_t>(image.channels);
    const std::size_t stride = static_cast<std::size_t>(image.extent.width) * depth;
    const std::size_t values = count * depth;
    const std::uint8_t* source = image.pixels + vertical_.first[row] * stride + from * depth;
    const float* weight = &vertical_.weights[row * vertical_.taps];
    if (vertical_.taps == 1) {
        mix(source, weight[0], source, 0, values, line_.data());
        return;
    }
    mix(source, weight[0], source + stride, weight[1], values, line_.data());
    for (std::size_t t = 2; t < vertical_.taps; ++t) {
        add(source + t * stride, weight[t], values, line_.data());
    }
}

}  // namespace layerledger
