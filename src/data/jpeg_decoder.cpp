#include "jpeg_decoder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string_view>

// jpeglib.h uses FILE and size_t without including what declares them.
#include <jpeglib.h>
// And this one wants jpeglib.h before it.
#include <jerror.h>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"
#include "luma.hpp"

namespace layerledger {
namespace {

// A damaged header may claim any size up to 65535 x 65535; no photograph is larger than this.
constexpr std::int64_t most_pixels = std::int64_t{1} << 28;

constexpr std::array<std::uint8_t, 4> png_signature{0x89, 'P', 'N', 'G'};

[[noreturn]] void refuse(const std::string& path, std::string_view why) {
    throw Error(ExitCode::bad_data,
                text("cannot decode image '", path, "' (", why, ") repair or remove it"));
}

/// Warnings after which every pixel is still as it was meant to be.
bool is_harmless(int message) {
    return message == JWRN_EXTRANEOUS_DATA || message == JWRN_JFIF_MAJOR ||
           message == JWRN_ADOBE_XFORM || message == JWRN_BOGUS_ICC;
}

/// The library's reports. It says what is wrong by calling back; an error must not return.
struct Reports {
    jpeg_error_mgr manager{};  // first: the library hands out its address
    std::jmp_buf way_out{};
    std::array<char, JMSG_LENGTH_MAX> message{};
    bool is_damaged = false;

    static Reports& of(j_common_ptr library) { return *reinterpret_cast<Reports*>(library->err); }
};

[[noreturn]] void report_error(j_common_ptr library) {
    Reports& reports = Reports::of(library);
    library->err->format_message(library, reports.message.data());
    std::longjmp(reports.way_out, 1);
}

/// Level -1 is a warning: damaged data, filled up with grey. The others are traces.
void report_message(j_common_ptr library, int level) {
    Reports& reports = Reports::of(library);
    if (level < 0 && !reports.is_damaged && !is_harmless(library->err->msg_code)) {
        library->err->format_message(library, reports.message.data());
        reports.is_damaged = true;
    }
}

class OpenFile {
public:
    explicit OpenFile(const std::string& path) : id_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
    ~OpenFile() {
        if (id_ >= 0) {
            ::close(id_);
        }
    }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    [[nodiscard]] int id() const noexcept { return id_; }

private:
    int id_;
};

}  // namespace

struct JpegDecoder::Library {
    jpeg_decompress_struct state{};
    Reports reports;

    Library() {
        state.err = jpeg_std_error(&reports.manager);
        reports.manager.error_exit = report_error;
        reports.manager.emit_message = report_message;
        LL_VALIDATE(call([&] { jpeg_create_decompress(&state); }), ExitCode::internal,
                    text("cannot start the JPEG decoder (", reports.message.data(),
                         ") look at the memory that is left, or use fewer data.workers"));
    }
    ~Library() { jpeg_destroy_decompress(&state); }
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;

    /// False where the library reported an error, which ends `work` on the spot: it may own nothing
    /// that wants destroying.
    template <class Work>
    bool call(const Work& work) {
        if (setjmp(reports.way_out) != 0) {
            return false;
        }
        work();
        return true;
    }

    /// Decodes rows top .. bottom of columns left .. right at the scale that is set; the columns
    /// are widened to whole blocks. Then runs to the end of the file, decoding no more than it
    /// must.
    void decode(std::vector<std::uint8_t>& pixels, PixelExtent& extent, JDIMENSION& left,
                JDIMENSION right, JDIMENSION top, JDIMENSION bottom) {
        jpeg_start_decompress(&state);
        JDIMENSION width = right - left;
        if (width < state.output_width) {
            jpeg_crop_scanline(&state, &left, &width);
        } else {
            left = 0;
        }
        extent = {static_cast<int>(state.output_width), static_cast<int>(bottom - top)};
        const std::size_t stride =
            std::size_t{state.output_width} * static_cast<std::size_t>(state.output_components);
        // Only ever grows, and before anything can jump over it half-done.
        pixels.resize(std::max(pixels.size(), stride * (bottom - top + 1)));
        if (top > 0) {
            jpeg_skip_scanlines(&state, top);
        }
        while (state.output_scanline < bottom) {
            JSAMPROW row = &pixels[(state.output_scanline - top) * stride];
            jpeg_read_scanlines(&state, &row, 1);
        }
        // Skipping up to the last row would end the file unread; with one to come it is looked
        // through.
        if (state.output_scanline + 1 < state.output_height) {
            jpeg_skip_scanlines(&state, state.output_height - state.output_scanline - 1);
        }
        while (state.output_scanline < state.output_height) {
            JSAMPROW row = &pixels[(bottom - top) * stride];
            jpeg_read_scanlines(&state, &row, 1);
        }
        jpeg_finish_decompress(&state);
    }
};

JpegDecoder::JpegDecoder() : library_(std::make_unique<Library>()) {}
JpegDecoder::~JpegDecoder() = default;

PixelExtent JpegDecoder::open(const std::string& path) {
    path_ = path;
    read_file();
    if (bytes_.size() >= png_signature.size() &&
        std::equal(png_signature.begin(), png_signature.end(), bytes_.begin())) {
        refuse(path_, "it is a PNG file, not a JPEG file");
    }
    jpeg_decompress_struct& state = library_->state;
    library_->reports.is_damaged = false;
    const bool is_jpeg = library_->call([&] {
        jpeg_abort_decompress(&state);
        jpeg_mem_src(&state, bytes_.data(), bytes_.size());
        jpeg_read_header(&state, TRUE);
    });
    if (!is_jpeg || library_->reports.is_damaged) {
        refuse(path_, library_->reports.message.data());
    }
    const std::int64_t area = std::int64_t{state.image_width} * state.image_height;
    if (area > most_pixels) {
        refuse(path_,
               text("its header claims ", state.image_width, " x ", state.image_height, " pixels"));
    }
    return {static_cast<int>(state.image_width), static_cast<int>(state.image_height)};
}

void JpegDecoder::read_file() {
    const OpenFile file(path_);
    struct stat status {};
    if (file.id() < 0 || ::fstat(file.id(), &status) != 0) {
        refuse(path_, std::strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        refuse(path_, "it is not a file");
    }
    if (status.st_size == 0) {
        refuse(path_, "the file is empty");
    }
    bytes_.resize(static_cast<std::size_t>(status.st_size));
    for (std::size_t done = 0; done < bytes_.size();) {
        const ssize_t got = ::read(file.id(), &bytes_[done], bytes_.size() - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            refuse(path_, got < 0 ? std::strerror(errno) : "it became shorter while it was read");
        }
        done += static_cast<std::size_t>(got);
    }
}

JpegDecoder::Part JpegDecoder::decode(const View& window, PixelExtent to, int channels) {
    LL_EXPECT(channels == 1 || channels == 3);
    jpeg_decompress_struct& state = library_->state;
    // The inverse cosine transform shrinks by these for less than nothing; by others in between it
    // could, but only slowly.
    int shrink = 8;
    while (shrink > 1 && (window.width < shrink * to.width || window.height < shrink * to.height)) {
        shrink /= 2;
    }
    // The library cannot turn CMYK (22 files of ImageNet) into anything else.
    const bool cmyk = state.jpeg_color_space == JCS_CMYK || state.jpeg_color_space == JCS_YCCK;
    state.scale_num = 1;
    state.scale_denom = static_cast<unsigned>(shrink);
    state.out_color_space = cmyk ? JCS_CMYK : (channels == 1 ? JCS_GRAYSCALE : JCS_RGB);

    PixelExtent extent;
    JDIMENSION left = 0;
    JDIMENSION top = 0;
    const bool decoded = library_->call([&] {
        jpeg_calc_output_dimensions(&state);
        // The filter reaches beyond the window, and colours at a cut are not as in the whole image.
        const auto margin_x = static_cast<int>(std::ceil(window.width / shrink / to.width)) + 3;
        const auto margin_y = static_cast<int>(std::ceil(window.height / shrink / to.height)) + 3;
        const auto clipped = [&](double edge, int margin, JDIMENSION limit) {
            return static_cast<JDIMENSION>(
                std::clamp(edge / shrink + margin, 0.0, static_cast<double>(limit)));
        };
        left = clipped(std::floor(window.left), -margin_x, state.output_width);
        top = clipped(std::floor(window.top), -margin_y, state.output_height);
        const JDIMENSION right =
            clipped(std::ceil(window.left + window.width), margin_x, state.output_width);
        const JDIMENSION bottom =
            clipped(std::ceil(window.top + window.height), margin_y, state.output_height);
        library_->decode(pixels_, extent, left, right, top, bottom);
    });
    // A file that is cut short decodes "with a warning", its missing part grey: a failure as well.
    if (!decoded || library_->reports.is_damaged) {
        refuse(path_, library_->reports.message.data());
    }
    if (cmyk) {
        cmyk_to_rgb_or_grey(extent, channels);
    }
    return {{pixels_.data(), extent, channels},
            {window.left / shrink - left, window.top / shrink - top, window.width / shrink,
             window.height / shrink, window.mirrored}};
}

void JpegDecoder::cmyk_to_rgb_or_grey(PixelExtent extent, int channels) {
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
            pixels_[i] = luma(red, green, blue);
        } else {
            pixels_[3 * i] = static_cast<std::uint8_t>(red);
            pixels_[3 * i + 1] = static_cast<std::uint8_t>(green);
            pixels_[3 * i + 2] = static_cast<std::uint8_t>(blue);
        }
    }
}

}  // namespace layerledger
