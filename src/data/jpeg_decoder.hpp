// Decoding of JPEG files, or of the part of one that is needed. The only file of the room that
// knows which library decodes is its source.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "resize.hpp"
#include "view.hpp"

namespace layerledger {

/// Decodes one file at a time; each thread has its own.
class JpegDecoder {
public:
    JpegDecoder();
    ~JpegDecoder();
    JpegDecoder(const JpegDecoder&) = delete;
    JpegDecoder& operator=(const JpegDecoder&) = delete;

    /// Reads the file and its header; returns the image's extent. Throws Error{bad_data} naming the
    /// file and the reason where it is missing, empty or no JPEG file.
    PixelExtent open(const std::string& path);

    /// What was decoded, and where the wanted window lies in it.
    struct Part {
        PixelView view;  ///< valid until the next call of open
        View window;
    };
    /// Decodes at least `window` of the open file and what surrounds it, as 1 channel (grey) or 3
    /// (red, green, blue), from grey, colour and CMYK files. Where the window is at least twice as
    /// large as `to`, the image is decoded at a half, a quarter or an eighth of its size, never
    /// below `to`. The rest of the file is read all the same: throws Error{bad_data} wherever a
    /// file is damaged or cut short, whatever part is wanted.
    Part decode(const View& window, PixelExtent to, int channels);

private:
    struct Library;

    void read_file();
    void cmyk_to_rgb_or_grey(PixelExtent extent, int channels);

    std::unique_ptr<Library> library_;
    std::string path_;
    std::vector<std::uint8_t> bytes_;
    std::vector<std::uint8_t> pixels_;
};

}  // namespace layerledger
