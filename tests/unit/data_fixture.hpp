// JPEG files in a folder that goes away with its test.
#pragma once

#include <gtest/gtest.h>
#include <turbojpeg.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "layerledger/data/batch_source.hpp"

namespace layerledger::testing {

/// Bytes of a JPEG file; `format` is TurboJPEG's pixel format of `pixels`.
inline std::vector<std::uint8_t> encode_jpeg(const std::vector<std::uint8_t>& pixels, int width,
                                             int height, int format, int subsampling = TJSAMP_444,
                                             int flags = 0) {
    tjhandle handle = tjInitCompress();
    unsigned char* out = nullptr;
    unsigned long size = 0;
    const int status = tjCompress2(handle, pixels.data(), width, 0, height, format, &out, &size,
                                   format == TJPF_GRAY ? TJSAMP_GRAY : subsampling, 100,
                                   TJFLAG_ACCURATEDCT | flags);
    EXPECT_EQ(status, 0) << tjGetErrorStr2(handle);
    std::vector<std::uint8_t> bytes(out, out + size);
    tjFree(out);
    tjDestroy(handle);
    return bytes;
}

/// Bytes of a grey JPEG file of one value, which decodes to just that value.
inline std::vector<std::uint8_t> uniform_jpeg(std::uint8_t value, int width = 16, int height = 16) {
    const auto area = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
    return encode_jpeg(std::vector<std::uint8_t>(area, value), width, height, TJPF_GRAY);
}

/// The first half of a JPEG file: it decodes, with a warning, to an image that is half missing.
inline std::vector<std::uint8_t> truncated_jpeg() {
    std::vector<std::uint8_t> noise(64 * 64);
    for (std::size_t i = 0; i < noise.size(); ++i) {
        noise[i] = static_cast<std::uint8_t>(i * i % 251);
    }
    std::vector<std::uint8_t> bytes = encode_jpeg(noise, 64, 64, TJPF_GRAY);
    bytes.resize(bytes.size() / 2);
    return bytes;
}

/// A complete PNG file of one black pixel.
inline std::vector<std::uint8_t> png() {
    return {0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48,
            0x44, 0x52, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x00,
            0x00, 0x3A, 0x7E, 0x9B, 0x55, 0x00, 0x00, 0x00, 0x0A, 0x49, 0x44, 0x41, 0x54, 0x78,
            0x9C, 0x63, 0x60, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01, 0x48, 0xAF, 0xA4, 0x71, 0x00,
            0x00, 0x00, 0x00, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82};
}

inline std::vector<std::uint8_t> garbage() {
    return {'n', 'o', ' ', 'i', 'm', 'a', 'g', 'e'};
}

/// The value of a pixel of a grey image before it was normalised.
inline int grey_value(float normalised) {
    return static_cast<int>(std::lround((normalised * 0.226F + 0.449F) * 255.0F));
}

class DataFolder : public ::testing::Test {
protected:
    DataFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "layerledger-XXXXXX").string();
        root_ = mkdtemp(name.data());
        settings_.source = DataSource::folder;
        settings_.root = root_.string();
        settings_.augment = Augment::none;
        settings_.workers = 1;
    }
    ~DataFolder() override { std::filesystem::remove_all(root_); }

    void write(const std::string& path, const std::vector<std::uint8_t>& bytes) const {
        const std::filesystem::path target = root_ / path;
        std::filesystem::create_directories(target.parent_path());
        std::ofstream(target, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
    }

    /// Image i of `part` has the grey value 10 * i and the label i % 2.
    void write_numbered(const std::string& part, int images) const {
        for (int i = 0; i < images; ++i) {
            write(numbered(part, i), uniform_jpeg(static_cast<std::uint8_t>(10 * i)));
        }
    }
    static std::string numbered(const std::string& part, int i) {
        return part + (i % 2 == 0 ? "/even/" : "/odd/") + std::to_string(100 + i) + ".jpg";
    }

    std::filesystem::path root_;
    DataSettings settings_;
};

inline constexpr Shape tiny{1, 4, 4};

/// The numbers of the valid images in a batch of images of write_numbered.
inline std::vector<int> numbers(const HostBatch& batch) {
    std::vector<int> found;
    for (std::int64_t i = 0; i < batch.valid; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const int number = (grey_value(batch.images[at * 16]) + 5) / 10;
        EXPECT_EQ(batch.labels[at], number % 2);
        found.push_back(number);
    }
    return found;
}

}  // namespace layerledger::testing
