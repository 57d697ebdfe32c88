// From a JPEG file to the normalised planes of one image of a batch. The only header of the room
// that knows which library decodes.
#pragma once

#include <turbojpeg.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "layerledger/network/network.hpp"
#include "resize.hpp"

namespace layerledger {

/// Decodes one image at a time; each thread has its own.
class ImageDecoder {
public:
    ImageDecoder();

    /// Reads the file, resizes the image to `extent` (1 channel: grey, or 3: red, green, blue) and
    /// writes it normalised to planes[C, H, W]: ((value / 255) - mean) / deviation with ImageNet's
    /// mean and deviation per channel, and their averages for grey. Throws Error{bad_data} where
    /// the file cannot be read as a whole, undamaged JPEG image.
    void decode(const std::string& path, Shape extent, std::span<float> planes);

private:
    void read_file(const std::string& path);
    /// Decompresses bytes_ to pixels_ at the smallest scale that is no smaller than `at_least`.
    PixelExtent decompress(const std::string& path, PixelExtent at_least, int channels);
    void cmyk_to_rgb_or_grey(PixelExtent extent, int channels);

    struct Close {
        void operator()(tjhandle handle) const noexcept { tjDestroy(handle); }
    };
    std::unique_ptr<std::remove_pointer_t<tjhandle>, Close> handle_;
    std::vector<std::uint8_t> bytes_;
    std::vector<std::uint8_t> pixels_;
    Resizer resizer_;
};

}  // namespace layerledger
