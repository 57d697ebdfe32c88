#include "run_paths.hpp"

#include <filesystem>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {

void require_run_file_name(const Experiment& experiment) {
    const std::string& file = experiment.output.file;
    const std::filesystem::path path(file);
    const std::filesystem::path folder = path.parent_path();
    LL_VALIDATE(folder.empty(), ExitCode::configuration,
                text(experiment.blame("output.file"), " is '", file,
                     "', which names a folder (everything of a run is in output.directory) write "
                     "output.directory = ",
                     (std::filesystem::path(experiment.output.directory) / folder).string(),
                     " and output.file = ", path.filename().string()));
    LL_VALIDATE(file.empty() || std::filesystem::path(file).extension() == ".h5",
                ExitCode::configuration,
                text(experiment.blame("output.file"), " is '", file,
                     "', which does not end in .h5 (the log, lists and checkpoints beside it take "
                     "its name) write NAME.h5"));
}

std::string run_file_path(const Experiment& experiment) {
    const std::string& file = experiment.output.file;
    return (std::filesystem::path(experiment.output.directory) /
            (file.empty() ? experiment.experiment.name + ".h5" : file))
        .string();
}

std::string lock_path(const Experiment& experiment) {
    return std::filesystem::path(run_file_path(experiment)).replace_extension(".lock").string();
}

std::string log_path(const Experiment& experiment) {
    return std::filesystem::path(run_file_path(experiment)).replace_extension(".log").string();
}

std::string tables_prefix(const Experiment& experiment) {
    return std::filesystem::path(run_file_path(experiment)).stem().string() + ".";
}

}  // namespace layerledger
