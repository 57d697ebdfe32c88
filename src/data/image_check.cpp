#include "layerledger/data/image_check.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <string_view>

#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

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

/// A step that visits all of `count` places, and any few of them evenly: near the golden ratio, and
/// without a common divisor.
std::size_t even_step(std::size_t count) {
    auto step = static_cast<std::size_t>(0.618 * static_cast<double>(count));
    while (std::gcd(step, count) != 1) {
        ++step;
    }
    return step;
}

}  // namespace

std::size_t require_readable_validation(const ImageIndex& index, Shard shard,
                                        std::chrono::milliseconds patience) {
    const auto give_up = std::chrono::steady_clock::now() + patience;
    const auto ranks = static_cast<std::size_t>(shard.ranks);
    const auto rank = static_cast<std::size_t>(shard.rank);
    const std::size_t mine = (index.val.size() + ranks - 1 - rank) / ranks;
    const std::size_t step = even_step(mine);
    for (std::size_t i = 0; i < mine; ++i) {
        if (std::chrono::steady_clock::now() >= give_up) {
            return i;
        }
        const std::size_t at = i * step % mine * ranks + rank;
        const std::string path = (std::filesystem::path(index.root) / index.val[at].path).string();
        if (const std::string fault = fault_of(path); !fault.empty()) {
            throw Error(ExitCode::bad_data,
                        text("validation image '", path, "' cannot be decoded (", fault,
                             ") repair or remove it, or set data.on_error = skip"));
        }
    }
    return mine;
}

}  // namespace layerledger
