#include "convolution_engines.hpp"

#include <cstdlib>
#include <filesystem>
#include <sstream>

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
    known_.load(cache_file().string());
}

ConvolutionPlan ConvolutionEngines::plan(const ConvolutionProblem& problem) {
    const std::string key = key_of(gpu_, problem);
    if (const std::string* known = known_.find(key)) {
        try {
            return {gpu_.cudnn_device(), problem, *known};
        } catch (const Error&) {  // what the file says makes no sense: looked for again
        }
    }
    const std::string engine = fastest_engine(gpu_, problem);
    is_new_ = true;
    known_.set(key, engine);
    return {gpu_.cudnn_device(), problem, engine};
}

void ConvolutionEngines::share(const Communicator& world) {
    std::ostringstream lines;
    known_.write(lines);
    std::istringstream of_rank_0(world.broadcast(std::move(lines).str()));
    known_.clear();
    known_.read(of_rank_0);
}

void ConvolutionEngines::remember() {
    const fs::path path = cache_file();
    const Communicator* world = gpu_.world();
    if (!is_new_ || path.empty() || (world != nullptr && !world->is_root())) {
        return;
    }
    is_new_ = false;
    try {
        known_.save(path.string());
    } catch (const Error& error) {
        log::info(text(error.what(), ": the next run looks for cuDNN's engines again"));
    }
}

}  // namespace layerledger::cuda
