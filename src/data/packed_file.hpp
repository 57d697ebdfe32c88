// Reading of packed files: images that are decoded already.
//
//   /             attributes format = "layerledger packed images", format_version = 1
//   /classes      [class] names; /class_names [class] for people, where they are known
//   /train, /val  images [image, height, width, 3] uint8, red, green, blue
//                 labels [image] int32, positions in classes; paths [image] where each came from
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "layerledger/data/image_index.hpp"
#include "layerledger/hdf5/file.hpp"
#include "view.hpp"

namespace layerledger {

enum class PackedPart : unsigned char { train, val };

namespace packed {
inline constexpr std::string_view format = "layerledger packed images";
inline constexpr std::int64_t version = 1;
inline constexpr std::size_t channels = 3;
inline constexpr std::array<const char*, 2> groups{"train", "val"};
inline constexpr const char* group(PackedPart part) {
    return groups[static_cast<std::size_t>(part)];
}
}  // namespace packed

/// Any number of threads may read, one at a time: the file system copies faster than any decoder.
class PackedFile {
public:
    /// Throws Error: input_missing where there is no such file, bad_data where it is none of these.
    explicit PackedFile(const std::string& path);

    [[nodiscard]] PixelExtent extent() const noexcept { return extent_; }
    [[nodiscard]] std::size_t image_bytes() const noexcept;

    /// All its images; the group val may be missing.
    [[nodiscard]] ImageIndex index() const;

    /// Lines first .. first + count of one image, interleaved.
    void read(PackedPart part, std::uint32_t row, int first, int count,
              std::span<std::uint8_t> pixels);

private:
    void check();
    void check_group(PackedPart part);
    [[nodiscard]] ImageIndex read_index() const;

    std::string path_;
    hdf5::File file_;
    PixelExtent extent_;
};

}  // namespace layerledger
