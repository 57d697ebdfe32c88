#include "image_loader.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"
#include "luma.hpp"

namespace layerledger {
namespace {

// What torchvision and its pretrained models use for ImageNet: red, green, blue.
constexpr std::array<float, 3> imagenet_mean{0.485F, 0.456F, 0.406F};
constexpr std::array<float, 3> imagenet_deviation{0.229F, 0.224F, 0.225F};
constexpr float average(const std::array<float, 3>& values) {
    return (values[0] + values[1] + values[2]) / 3;
}

class JpegLoader final : public ImageLoader {
public:
    JpegLoader(std::string root, Presentation presentation)
        : root_(std::move(root)), presentation_(std::move(presentation)) {}

    void load(const ImageIndex::Image& image, std::int64_t epoch, std::uint32_t number,
              std::span<float> planes) override {
        const PixelExtent to = pixels_of(presentation_.extent);
        const PixelExtent whole = decoder_.open(root_ + "/" + image.path);
        const View window = presentation_.views.choose(whole, epoch, number);
        const JpegDecoder::Part part =
            decoder_.decode(window, to, static_cast<int>(presentation_.extent.channels));
        resizer_.resize(part.view, part.window, presentation_.scaling, planes, to);
    }

private:
    std::string root_;
    Presentation presentation_;
    JpegDecoder decoder_;
    Resizer resizer_;
};

class PackedLoader final : public ImageLoader {
public:
    PackedLoader(std::shared_ptr<PackedFile> file, PackedPart part, Presentation presentation)
        : file_(std::move(file)),
          part_(part),
          presentation_(std::move(presentation)),
          pixels_(file_->image_bytes()) {}

    void load(const ImageIndex::Image& image, std::int64_t epoch, std::uint32_t number,
              std::span<float> planes) override {
        const PixelExtent to = pixels_of(presentation_.extent);
        const PixelExtent stored = file_->extent();
        View view = presentation_.views.choose(stored, epoch, number);
        // The lines that show, and those that the filter reaches beyond them.
        const int reach = static_cast<int>(std::ceil(view.height / to.height)) + 1;
        const int first = std::max(0, static_cast<int>(std::floor(view.top)) - reach);
        const int last =
            std::min(stored.height, static_cast<int>(std::ceil(view.top + view.height)) + reach);
        const PixelExtent part{stored.width, last - first};
        file_->read(part_, image.row, first, part.height, pixels_);
        if (presentation_.extent.channels == 1) {
            to_grey(part);
        }
        view.top -= first;
        resizer_.resize({pixels_.data(), part, static_cast<int>(presentation_.extent.channels)},
                        view, presentation_.scaling, planes, to);
    }

private:
    void to_grey(PixelExtent part) {
        const std::size_t area =
            static_cast<std::size_t>(part.width) * static_cast<std::size_t>(part.height);
        for (std::size_t i = 0; i < area; ++i) {
            // Over pixels that have been read.
            pixels_[i] = luma(pixels_[3 * i], pixels_[3 * i + 1], pixels_[3 * i + 2]);
        }
    }

    std::shared_ptr<PackedFile> file_;
    PackedPart part_;
    Presentation presentation_;
    std::vector<std::uint8_t> pixels_;
    Resizer resizer_;
};

}  // namespace

Scaling imagenet_scaling(std::int64_t channels) {
    Scaling scaling;
    for (std::size_t c = 0; c < imagenet_mean.size(); ++c) {
        const float mean = channels == 1 ? average(imagenet_mean) : imagenet_mean[c];
        const float deviation = channels == 1 ? average(imagenet_deviation) : imagenet_deviation[c];
        scaling.factor[c] = 1.0F / (255.0F * deviation);
        scaling.shift[c] = -mean / deviation;
    }
    return scaling;
}

PixelExtent pixels_of(Shape extent) {
    return {static_cast<int>(extent.width), static_cast<int>(extent.height)};
}

std::unique_ptr<ImageLoader> make_jpeg_loader(std::string root, Presentation presentation) {
    return std::make_unique<JpegLoader>(std::move(root), std::move(presentation));
}

std::unique_ptr<ImageLoader> make_packed_loader(std::shared_ptr<PackedFile> file, PackedPart part,
                                                Presentation presentation) {
    return std::make_unique<PackedLoader>(std::move(file), part, std::move(presentation));
}

MakeLoader choose_loader(const ImageIndex& index, const DataSettings& settings, PackedPart part,
                         const Presentation& presentation) {
    const Shape extent = presentation.extent;
    LL_VALIDATE(extent.channels == 1 || extent.channels == 3, ExitCode::configuration,
                text("images cannot have ", extent.channels,
                     " channels (JPEG files give 1 or 3) "
                     "choose another network"));
    if (settings.source == DataSource::folder) {
        return [root = index.root, presentation] { return make_jpeg_loader(root, presentation); };
    }
    const auto file = std::make_shared<PackedFile>(index.root);
    const PixelExtent stored = file->extent();
    LL_VALIDATE(stored.width >= extent.width && stored.height >= extent.height,
                ExitCode::configuration,
                text("the network takes images of ", extent.width, " x ", extent.height,
                     " pixels, '", index.root, "' holds ", stored.width, " x ", stored.height,
                     " (they would only be blown up) pack with a larger --size, or set "
                     "network.image_size"));
    return [file, part, presentation] { return make_packed_loader(file, part, presentation); };
}

}  // namespace layerledger
