#include "convolution_algorithms.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
namespace {

namespace fs = std::filesystem;

// The user's cache folder by the XDG base directory specification; empty where there is none.
fs::path cache_file() {
    const char* cache = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    if (cache != nullptr && *cache != '\0') {
        return fs::path(cache) / "layerledger" / "convolutions.tsv";
    }
    return home != nullptr && *home != '\0'
               ? fs::path(home) / ".cache" / "layerledger" / "convolutions.tsv"
               : fs::path();
}

std::string key_of(const Gpu& gpu, const ConvolutionShape& shape, Direction direction) {
    const auto extent = [](const kernels::Extent& e) {
        return text(e.images, "x", e.height, "x", e.width, "x", e.channels);
    };
    return text(gpu.info().name, "|cuDNN ", cudnnGetVersion(), "|", extent(shape.x), "|",
                extent(shape.y), "|k", shape.kernel, " s", shape.stride, " p", shape.padding, " g",
                shape.groups, "|precision ", static_cast<int>(shape.precision),
                gpu.is_deterministic() ? " deterministic" : "", "|direction ",
                static_cast<int>(direction));
}

}  // namespace

ConvolutionAlgorithms::ConvolutionAlgorithms(const Gpu& gpu) : gpu_(gpu) {
    std::ifstream file(cache_file());
    for (std::string line; std::getline(file, line);) {
        std::istringstream fields(line);
        std::string key;
        ConvolutionChoice choice;
        if (std::getline(fields, key, '\t') &&
            fields >> choice.algorithm >> choice.math >> choice.workspace_bytes) {
            known_[key] = choice;
        }
    }
}

ConvolutionChoice ConvolutionAlgorithms::find(const ConvolutionShape& shape, Direction direction,
                                              const ConvolutionDescriptors& descriptors) {
    const std::string key = key_of(gpu_, shape, direction);
    const Communicator* world = gpu_.world();
    const bool decides = world == nullptr || world->is_root();
    ConvolutionChoice choice;
    std::string failure;
    if (const auto known = known_.find(key); decides && known != known_.end()) {
        choice = known->second;
    } else if (decides) {
        try {
            choice = descriptors.find(direction);
            is_new_ = true;
        } catch (const Error& error) {
            failure = error.what();
        }
    }
    if (world != nullptr && world->size() > 1) {
        choice.algorithm = static_cast<int>(world->broadcast(std::int64_t{choice.algorithm}));
        choice.math = static_cast<int>(world->broadcast(std::int64_t{choice.math}));
        choice.workspace_bytes = static_cast<std::size_t>(
            world->broadcast(static_cast<std::int64_t>(choice.workspace_bytes)));
    }
    LL_VALIDATE(choice.algorithm >= 0, ExitCode::unavailable,
                failure.empty() ? "rank 0 found no algorithm for a convolution (see its message)"
                                : failure);
    known_[key] = choice;
    return choice;
}

void ConvolutionAlgorithms::remember() const {
    const fs::path path = cache_file();
    const Communicator* world = gpu_.world();
    if (!is_new_ || path.empty() || (world != nullptr && !world->is_root())) {
        return;
    }
    std::error_code failure;
    fs::create_directories(path.parent_path(), failure);
    // Renamed into place whole: another run may read at any time.
    const fs::path half = text(path.string(), ".", getpid());
    std::ofstream file(half);
    for (const auto& [key, choice] : known_) {
        file << key << '\t' << choice.algorithm << '\t' << choice.math << '\t'
             << choice.workspace_bytes << '\n';
    }
    file.close();
    if (file) {
        fs::rename(half, path, failure);
    }
    if (!file || failure) {
        fs::remove(half, failure);
        log::info(text("cannot write '", path.string(),
                       "': the next run looks for cuDNN's algorithms again"));
    }
}

}  // namespace layerledger::cuda
