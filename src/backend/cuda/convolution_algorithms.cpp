#include "convolution_algorithms.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

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
    read(file);
}

ConvolutionChoice ConvolutionAlgorithms::find(const ConvolutionShape& shape, Direction direction,
                                              const ConvolutionDescriptors& descriptors) {
    const std::string key = key_of(gpu_, shape, direction);
    if (const auto known = known_.find(key); known != known_.end()) {
        return known->second;
    }
    const ConvolutionChoice choice = descriptors.find(direction);
    is_new_ = true;
    known_[key] = choice;
    return choice;
}

void ConvolutionAlgorithms::share(const Communicator& world) {
    std::ostringstream lines;
    write(lines);
    std::istringstream of_rank_0(world.broadcast(std::move(lines).str()));
    known_.clear();
    read(of_rank_0);
}

void ConvolutionAlgorithms::read(std::istream& lines) {
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        std::string key;
        ConvolutionChoice choice;
        if (std::getline(fields, key, '\t') &&
            fields >> choice.algorithm >> choice.math >> choice.workspace_bytes) {
            known_[key] = choice;
        }
    }
}

void ConvolutionAlgorithms::write(std::ostream& lines) const {
    for (const auto& [key, choice] : known_) {
        lines << key << '\t' << choice.algorithm << '\t' << choice.math << '\t'
              << choice.workspace_bytes << '\n';
    }
}

void ConvolutionAlgorithms::remember() {
    const fs::path path = cache_file();
    const Communicator* world = gpu_.world();
    if (!is_new_ || path.empty() || (world != nullptr && !world->is_root())) {
        return;
    }
    is_new_ = false;
    std::error_code failure;
    fs::create_directories(path.parent_path(), failure);
    // Renamed into place whole: another run may read at any time.
    const fs::path half = text(path.string(), ".", getpid());
    std::ofstream file(half);
    write(file);
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
