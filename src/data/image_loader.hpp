// From one image of an index to the normalised planes of one place of a batch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "jpeg_decoder.hpp"
#include "layerledger/data/image_index.hpp"
#include "layerledger/network/network.hpp"
#include "packed_file.hpp"
#include "resize.hpp"
#include "view.hpp"

namespace layerledger {

/// Loads one image at a time; each thread has its own.
class ImageLoader {
public:
    virtual ~ImageLoader() = default;

    /// Writes the image to planes[C, H, W]. `number` is its position in the index, `epoch` counts
    /// from 0: with the seed they decide which part of it shows. Throws Error{bad_data} where it
    /// cannot be read.
    virtual void load(const ImageIndex::Image& image, std::int64_t epoch, std::uint32_t number,
                      std::span<float> planes) = 0;
};

/// Called once by every thread. What it refers to outlives the threads.
using MakeLoader = std::function<std::unique_ptr<ImageLoader>()>;

/// What becomes of pixels: planes of `extent` (1 channel: grey, 3: red, green, blue).
struct Presentation {
    Shape extent;
    ViewChooser views;
    Scaling scaling;
};

/// (value / 255 - mean) / deviation, with ImageNet's mean and deviation of each channel, and their
/// averages for grey.
[[nodiscard]] Scaling imagenet_scaling(std::int64_t channels);

[[nodiscard]] PixelExtent pixels_of(Shape extent);

/// Of JPEG files in `root`.
[[nodiscard]] std::unique_ptr<ImageLoader> make_jpeg_loader(std::string root,
                                                            Presentation presentation);
/// Of the group `part`, train or val, of a packed file.
[[nodiscard]] std::unique_ptr<ImageLoader> make_packed_loader(std::shared_ptr<PackedFile> file,
                                                              PackedPart part,
                                                              Presentation presentation);

/// The loaders of what settings.source names. Throws Error{configuration} where the file or the
/// network has another number of channels than 1 or 3, or the packed images are too small.
[[nodiscard]] MakeLoader choose_loader(const ImageIndex& index, const DataSettings& settings,
                                       PackedPart part, const Presentation& presentation);

}  // namespace layerledger
