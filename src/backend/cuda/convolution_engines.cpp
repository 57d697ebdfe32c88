#include "convolution_engines.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "convolution_trial.hpp"
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
        return fs::path(cache) / "layerledger" / "convolution_engines.tsv";
    }
    return home != nullptr && *home != '\0'
               ? fs::path(home) / ".cache" / "layerledger" / "convolution_engines.tsv"
               : fs::path();
}

std::string key_of(const Gpu& gpu, const ConvolutionProblem& problem) {
    return text(gpu.info().name, "|cuDNN ", cudnnGetVersion(), "|", to_text(problem));
}

}  // namespace

ConvolutionEngines::ConvolutionEngines(const Gpu& gpu) : gpu_(gpu) {
    std::ifstream file(cache_file());
    read(file);
}

ConvolutionPlan ConvolutionEngines::plan(const ConvolutionProblem& problem) {
    const std::string key = key_of(gpu_, problem);
    if (const auto known = known_.find(key); known != known_.end()) {
        try {
            return {gpu_.cudnn_device(), problem, known->second};
        } catch (const Error&) {  // what the file says makes no sense: looked for again
        }
    }
    const std::string engine = fastest_engine(gpu_, problem);
    is_new_ = true;
    known_[key] = engine;
    return {gpu_.cudnn_device(), problem, engine};
}

void ConvolutionEngines::share(const Communicator& world) {
    std::ostringstream lines;
    write(lines);
    std::istringstream of_rank_0(world.broadcast(std::move(lines).str()));
    known_.clear();
    read(of_rank_0);
}

void ConvolutionEngines::read(std::istream& lines) {
    for (std::string line; std::getline(lines, line);) {
        if (const std::size_t tab = line.find('\t'); tab != std::string::npos) {
            known_[line.substr(0, tab)] = line.substr(tab + 1);
        }
    }
}

void ConvolutionEngines::write(std::ostream& lines) const {
    for (const auto& [problem, engine] : known_) {
        lines << problem << '\t' << engine << '\n';
    }
}

void ConvolutionEngines::remember() {
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
                       "': the next run looks for cuDNN's engines again"));
    }
}

}  // namespace layerledger::cuda
