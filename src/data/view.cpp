#include "view.hpp"

#include <algorithm>
#include <cmath>

#include "layerledger/base/counter_random.hpp"

namespace layerledger {
namespace {

constexpr double narrowest = 3.0 / 4;
constexpr double widest = 4.0 / 3;
constexpr double usual_central_share = 224.0 / 256;

double central_share(const DataSettings& settings) {
    if (settings.central_share > 0) {
        return settings.central_share;
    }
    // Objects look larger in random crops; a network that saw whole images is tested on such.
    return settings.augment == Augment::crop || settings.augment == Augment::crop_flip
               ? usual_central_share
               : 1.0;
}

}  // namespace

ViewRandom::ViewRandom(std::uint64_t seed, std::int64_t epoch, std::uint32_t image)
    // Apart from the key of the epoch's order, which comes from the seed itself.
    : key_(random_bits(random_bits(~seed, static_cast<std::uint64_t>(epoch)), image)) {}

double ViewRandom::uniform() {
    constexpr double unit = 1.0 / 9007199254740992.0;  // 2^-53
    return static_cast<double>(random_bits(key_, drawn_++) >> 11U) * unit;
}

View central_view(PixelExtent image, PixelExtent to, double share) {
    const double scale = share * std::min(static_cast<double>(image.width) / to.width,
                                          static_cast<double>(image.height) / to.height);
    const double width = scale * to.width;
    const double height = scale * to.height;
    return {(image.width - width) / 2, (image.height - height) / 2, width, height};
}

View random_view(PixelExtent image, double least_share, ViewRandom& random) {
    const double area = static_cast<double>(image.width) * image.height;
    constexpr int tries = 10;
    for (int i = 0; i < tries; ++i) {
        const double wanted = area * std::lerp(least_share, 1.0, random.uniform());
        const double ratio =
            std::exp(std::lerp(std::log(narrowest), std::log(widest), random.uniform()));
        const int width = static_cast<int>(std::lround(std::sqrt(wanted * ratio)));
        const int height = static_cast<int>(std::lround(std::sqrt(wanted / ratio)));
        if (width > 0 && width <= image.width && height > 0 && height <= image.height) {
            const double top = std::floor(random.uniform() * (image.height - height + 1));
            const double left = std::floor(random.uniform() * (image.width - width + 1));
            return {left, top, static_cast<double>(width), static_cast<double>(height)};
        }
    }
    const double ratio =
        std::clamp(static_cast<double>(image.width) / image.height, narrowest, widest);
    const double width = std::min<double>(image.width, std::round(image.height * ratio));
    const double height = std::min<double>(image.height, std::round(image.width / ratio));
    return {std::floor((image.width - width) / 2), std::floor((image.height - height) / 2), width,
            height};
}

ViewChooser::ViewChooser(const DataSettings& settings, PixelExtent to, std::uint64_t seed)
    : ViewChooser(settings, to) {
    crops_ = settings.augment == Augment::crop || settings.augment == Augment::crop_flip;
    flips_ = settings.augment == Augment::flip || settings.augment == Augment::crop_flip;
    seed_ = seed;
}

ViewChooser::ViewChooser(const DataSettings& settings, PixelExtent to)
    : to_(to), central_share_(central_share(settings)), least_share_(settings.crop_share) {}

View ViewChooser::choose(PixelExtent image, std::int64_t epoch, std::uint32_t number) const {
    ViewRandom random(seed_, epoch, number);
    const bool mirrored = flips_ && random.uniform() < 0.5;
    View window = crops_ ? random_view(image, least_share_, random)
                         : central_view(image, to_, central_share_);
    window.mirrored = mirrored;
    return window;
}

}  // namespace layerledger
