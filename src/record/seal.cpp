#include "seal.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/counter_random.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

constexpr std::string_view magic = "layerledger seal 1";

struct Seal {
    std::uint64_t bytes = 0;   ///< of the whole file
    std::uint64_t digest = 0;  ///< of what follows the seal

    bool operator==(const Seal&) const = default;
};

/// Nothing where the file cannot be read, or has nothing behind its seal.
std::optional<Seal> seal_of_content(const std::string& path) {
    std::error_code failure;
    const std::uint64_t size = std::filesystem::file_size(path, failure);
    std::ifstream file(path, std::ios::binary);
    if (failure || size <= seal_bytes || !file.seekg(seal_bytes)) {
        return {};
    }
    std::vector<char> piece(std::size_t{1} << 20U);
    Seal seal{size, 0};
    for (std::uint64_t left = size - seal_bytes; left > 0;) {
        const std::size_t count = std::min<std::uint64_t>(piece.size(), left);
        if (!file.read(piece.data(), static_cast<std::streamsize>(count))) {
            return {};
        }
        for (std::size_t at = 0; at < count; at += sizeof(std::uint64_t)) {
            std::uint64_t word = 0;
            std::memcpy(&word, piece.data() + at, std::min(sizeof word, count - at));
            seal.digest = mixed_bits(seal.digest ^ word);
        }
        left -= count;
    }
    return seal;
}

/// Nothing where there is none.
std::optional<Seal> stored_seal(const std::string& path) {
    std::string line(magic.size(), ' ');
    std::ifstream file(path, std::ios::binary);
    if (!file.read(line.data(), static_cast<std::streamsize>(line.size())) || line != magic) {
        return {};
    }
    Seal seal;
    file >> seal.bytes >> std::hex >> seal.digest;
    return seal;  // of a file that ends within it all zeros, which no file's are
}

}  // namespace

void seal(const std::string& path) {
    const std::optional<Seal> found = seal_of_content(path);
    LL_VALIDATE(found.has_value(), ExitCode::data_lost,
                text("'", path, "' cannot be read again after it was written"));
    std::ostringstream line;
    line << magic << ' ' << found->bytes << ' ' << std::hex << found->digest << '\n';
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file << std::move(line).str();
    file.close();
    LL_VALIDATE(file, ExitCode::data_lost, text("cannot write '", path, "'"));
}

std::string broken_seal(const std::string& path) {
    const std::optional<Seal> wanted = stored_seal(path);
    std::error_code failure;
    const std::uint64_t size = std::filesystem::file_size(path, failure);
    if (!wanted || wanted->bytes == 0) {
        return "it has no seal";
    }
    if (size < wanted->bytes) {
        return text("cut short: ", size, " of its ", wanted->bytes, " bytes are there");
    }
    return seal_of_content(path) == wanted ? "" : "its bytes are not those that were written";
}

bool is_sealed(const std::string& path) {
    return stored_seal(path).has_value();
}

}  // namespace layerledger
