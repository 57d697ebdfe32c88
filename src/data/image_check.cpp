#include "layerledger/data/image_check.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

constexpr std::size_t most_files = 10'000;

/// Why a file cannot be decoded, as far as its beginning tells; empty where nothing is wrong.
std::string fault_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return std::strerror(errno);
    }
    std::array<char, 4> bytes{};
    file.read(bytes.data(), bytes.size());
    const std::string_view begin(bytes.data(), static_cast<std::size_t>(file.gcount()));
    if (begin.empty()) {
        return "the file is empty";
    }
    if (begin == "\x89PNG") {
        return "it is a PNG file, not a JPEG file";
    }
    return begin.starts_with("\xFF\xD8\xFF") ? "" : "it does not begin as a JPEG file does";
}

}  // namespace

void require_readable_validation(const ImageIndex& index, Shard shard) {
    const auto ranks = static_cast<std::size_t>(shard.ranks);
    const auto rank = static_cast<std::size_t>(shard.rank);
    const std::size_t mine = (index.val.size() + ranks - 1 - rank) / ranks;
    const std::size_t looked_at = std::min(mine, most_files);
    for (std::size_t i = 0; i < looked_at; ++i) {
        const std::size_t at = i * mine / looked_at * ranks + rank;
        const std::string path = (std::filesystem::path(index.root) / index.val[at].path).string();
        if (const std::string fault = fault_of(path); !fault.empty()) {
            throw Error(ExitCode::bad_data,
                        text("validation image '", path, "' cannot be decoded (", fault,
                             ") repair or remove it, or set data.on_error = skip"));
        }
    }
}

}  // namespace layerledger
