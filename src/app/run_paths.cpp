#include "run_paths.hpp"

#include <filesystem>

namespace layerledger {

std::string run_file_path(const Experiment& experiment) {
    const std::string& file = experiment.output.file;
    return (std::filesystem::path(experiment.output.directory) /
            (file.empty() ? experiment.experiment.name + ".h5" : file))
        .string();
}

std::string log_path(const Experiment& experiment) {
    return std::filesystem::path(run_file_path(experiment)).replace_extension(".log").string();
}

}  // namespace layerledger
