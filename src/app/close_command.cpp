#include "close_command.hpp"

#include <filesystem>
#include <iostream>
#include <system_error>

#include "experiment_runner.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/config/experiment.hpp"
#include "layerledger/record/run_reader.hpp"
#include "layerledger/record/run_writer.hpp"
#include "output_lock.hpp"
#include "repetitions.hpp"
#include "run_paths.hpp"

namespace layerledger {
namespace {

bool is_there(const std::string& path) {
    std::error_code failure;
    return std::filesystem::exists(path, failure);
}

ClosedTraining close_run(const std::string& path) {
    if (!is_there(path)) {
        return {false, text("'", path, "' is not there")};
    }
    const RunIdentity run = identify_run(path);
    if (run.status != "running") {
        return {run.status == "complete", text("'", path, "' says ", run.status)};
    }
    mark_failed(path);
    if (!is_there(path)) {
        return {false, text("'", path, "' was cut off before anything was in it, and is removed")};
    }
    LL_VALIDATE(identify_run(path).status != "running", ExitCode::cannot_create,
                text("'", path,
                     "' still says running (it cannot be written, or another program has it open) "
                     "close it again"));
    return {false, text("'", path, "' says failed: it was cut off after iteration ",
                        run.last_iteration, ", the last that is in it")};
}

ClosedTraining close_training(const Experiment& experiment) {
    ClosedTraining closed = close_run(run_file_path(experiment));
    if (experiment.profile.twin) {
        const ClosedTraining twin = close_run(run_file_path(twin_of(experiment)));
        closed.is_complete = closed.is_complete && twin.is_complete;
        closed.said += "; " + twin.said;
    }
    return closed;
}

}  // namespace

ExitCode run_close_command(const std::vector<std::string>& arguments) {
    const ParsedCommandLine parsed = parse_command_line(arguments, process_environment());
    const Experiment& experiment = parsed.experiment;
    require_run_file_name(experiment);
    if (parsed.print_config) {
        std::cout << experiment.to_ini();
    }
    if (parsed.dry_run || parsed.print_config) {
        return ExitCode::ok;  // such a start writes nothing
    }
    const OutputLock lock(lock_path(experiment));
    std::cout << (experiment.experiment.repetitions == 1
                      ? close_training(experiment).said
                      : close_repetitions(experiment, close_training))
              << '\n';
    return ExitCode::ok;
}

}  // namespace layerledger
