#include "image_decoder.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <string_view>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

// What torchvision and its pretrained models use for ImageNet: red, green, blue.
constexpr std::array<float, 3> imagenet_mean{0.485F, 0.456F, 0.406F};
constexpr std::array<float, 3> imagenet_deviation{0.229F, 0.224F, 0.225F};
constexpr float grey_mean = (imagenet_mean[0] + imagenet_mean[1] + imagenet_mean[2]) / 3;
constexpr float grey_deviation =
    (imagenet_deviation[0] + imagenet_deviation[1] + imagenet_deviation[2]) / 3;

// A damaged header may claim any size up to 65535 x 65535; no photograph is larger than this.
constexpr std::int64_t most_pixels = std::int64_t{1} << 28;

[[noreturn]] void refuse(const std::string& path, std::string_view why) {
    throw Error(ExitCode::bad_data,
                text("cannot decode image '", path, "' (", why, ") repair or remove it"));
}

void normalise(std::span<float> plane, float mean, float deviation) {
    const float factor = 1.0F / (255.0F * deviation);
    const float shift = -mean / deviation;
    for (float& value : plane) {
        value = value * factor + shift;
    }
}

}  // namespace

ImageDecoder::ImageDecoder() : handle_(tjInitDecompress()) {
    LL_VALIDATE(handle_ != nullptr, ExitCode::internal,
                text("cannot start the JPEG decoder (", tjGetErrorStr2(nullptr), ")"));
}

void ImageDecoder::decode(const std::string& path, Shape extent, std::span<float> planes) {
    LL_EXPECT(extent.channels == 1 || extent.channels == 3);
    LL_EXPECT(planes.size() == static_cast<std::size_t>(extent.elements()));
    const PixelExtent to{static_cast<int>(extent.width), static_cast<int>(extent.height)};
    const int channels = static_cast<int>(extent.channels);
    read_file(path);
    const PixelExtent from = decompress(path, to, channels);
    resizer_.resize(pixels_, from, channels, planes, to);
    if (channels == 1) {
        normalise(planes, grey_mean, grey_deviation);
        return;
    }
    const std::size_t area = planes.size() / imagenet_mean.size();
    for (std::size_t c = 0; c < imagenet_mean.size(); ++c) {
        normalise(planes.subspan(c * area, area), imagenet_mean[c], imagenet_deviation[c]);
    }
}

void ImageDecoder::read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) {
        refuse(path, std::strerror(errno));
    }
    const std::streamoff size = file.tellg();
    if (size <= 0) {
        refuse(path, size == 0 ? "the file is empty" : "it is not a readable file");
    }
    bytes_.resize(static_cast<std::size_t>(size));
    file.seekg(0);
    file.read(reinterpret_cast<char*>(bytes_.data()), size);
    if (!file) {
        refuse(path, "reading the file failed");
    }
}

PixelExtent ImageDecoder::decompress(const std::string& path, PixelExtent at_least, int channels) {
    PixelExtent full;
    int subsampling = 0;
    int colourspace = 0;
    if (tjDecompressHeader3(handle_.get(), bytes_.data(), bytes_.size(), &full.width, &full.height,
                            &subsampling, &colourspace) != 0) {
        refuse(path, tjGetErrorStr2(handle_.get()));
    }

    // The inverse cosine transform can shrink by n/8 almost for free.
    PixelExtent scaled = full;
    for (int eighths = 1; eighths < 8; ++eighths) {
        const tjscalingfactor factor{eighths, 8};
        const PixelExtent candidate{TJSCALED(full.width, factor), TJSCALED(full.height, factor)};
        if (candidate.width >= at_least.width && candidate.height >= at_least.height) {
            scaled = candidate;
            break;
        }
    }
    const std::int64_t area = std::int64_t{scaled.width} * scaled.height;
    if (area > most_pixels) {
        refuse(path, text("its header claims ", full.width, " x ", full.height, " pixels"));
    }

    // The library cannot turn CMYK (22 files of ImageNet) into anything else.
    const bool cmyk = colourspace == TJCS_CMYK || colourspace == TJCS_YCCK;
    const int format = cmyk ? TJPF_CMYK : (channels == 1 ? TJPF_GRAY : TJPF_RGB);
    pixels_.resize(static_cast<std::size_t>(area) * static_cast<std::size_t>(tjPixelSize[format]));
    // A file that is cut short decodes "with a warning", its missing part grey: that is a failure
    // too, and the library returns non-zero for both.
    if (tjDecompress2(handle_.get(), bytes_.data(), bytes_.size(), pixels_.data(), scaled.width, 0,
                      scaled.height, format, 0) != 0) {
        refuse(path, tjGetErrorStr2(handle_.get()));
    }
    if (cmyk) {
        cmyk_to_rgb_or_grey(scaled, channels);
    }
    return scaled;
}

void ImageDecoder::cmyk_to_rgb_or_grey(PixelExtent extent, int channels) {
    const std::size_t area =
        static_cast<std::size_t>(extent.width) * static_cast<std::size_t>(extent.height);
    // Every program that writes CMYK JPEG follows Adobe and stores it inverted: 255 means no ink.
    for (std::size_t i = 0; i < area; ++i) {
        const std::uint8_t* ink = &pixels_[4 * i];
        const unsigned black = ink[3];
        const unsigned red = ink[0] * black / 255;
        const unsigned green = ink[1] * black / 255;
        const unsigned blue = ink[2] * black / 255;
        if (channels == 1) {
            // Luma after ITU-R BT.601, as in JPEG itself.
            pixels_[i] = static_cast<std::uint8_t>((299 * red + 587 * green + 114 * blue) / 1000);
        } else {
            pixels_[3 * i] = static_cast<std::uint8_t>(red);
            pixels_[3 * i + 1] = static_cast<std::uint8_t>(green);
            pixels_[3 * i + 2] = static_cast<std::uint8_t>(blue);
        }
    }
    pixels_.resize(area * static_cast<std::size_t>(channels));
}

}  // namespace layerledger
