#include "experiment_runner.hpp"

#include <array>
#include <filesystem>
#include <iostream>
#include <optional>
#include <system_error>

#include "beginning.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/record/export.hpp"
#include "layerledger/record/run_reader.hpp"
#include "layerledger/record/twin.hpp"
#include "repetitions.hpp"
#include "run_paths.hpp"
#include "set_aside.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;

void write_tables(Communicator& world, const Experiment& experiment) {
    if (experiment.output.csv) {
        world.agree_on_root([&] {
            const std::array runs{run_file_path(experiment)};
            refuse_old_tables(experiment, identify_run(runs.front()).run_id);
            export_csv(runs, experiment.output.directory, tables_prefix(experiment));
        });
    }
}

bool is_complete(const std::string& run_file) {
    try {
        return identify_run(run_file).status == "complete";
    } catch (const Error&) {
        return false;
    }
}

/// Sees to what an earlier start left of this training. True where nothing is left to do.
bool deal_with(Earlier earlier, const Experiment& experiment) {
    const std::string path = run_file_path(experiment);
    std::error_code failure;
    if (earlier == Earlier::refuse || !fs::exists(path, failure)) {
        return false;
    }
    if (experiment.train.resume == "auto" && !checkpoint_folder(experiment, path).files().empty()) {
        return false;  // its last checkpoint says what is left to do: some iterations, a validation
    }
    if (earlier == Earlier::go_on && is_complete(path)) {
        log::info(text("'", path, "' is complete: nothing is left to do"));
        return true;
    }
    set_aside(path, SetAside::unfinished);
    return false;
}

ExitCode train_with_tables(Communicator& world, const Experiment& experiment, Earlier earlier,
                           const std::string& images_digest, const TrainOnce& train_once) {
    bool is_done = false;
    world.agree_on_root([&] { is_done = deal_with(earlier, experiment); });
    is_done = world.broadcast(static_cast<std::int64_t>(is_done)) != 0;
    const ExitCode code = is_done ? ExitCode::ok : train_once(experiment, images_digest);
    if (code == ExitCode::ok) {
        write_tables(world, experiment);
    }
    return code;
}

/// Compares the two runs and says how, beside what the profiled one found within itself.
void report_twin(const Experiment& profiled, const Experiment& unprofiled) {
    const std::string path = run_file_path(profiled);
    const TwinRecord twin = compare_twins(path, run_file_path(unprofiled));
    std::cout << "\nprofiling against none: " << to_text(twin) << '\n';
    if (const auto overhead = summarize(path).overhead) {
        std::cout << "within the profiled run: " << fixed(overhead->percent, 2)
                  << " % of the iteration (95 % interval " << fixed(overhead->low, 2) << " to "
                  << fixed(overhead->high, 2) << ")\n";
    }
    std::cout << std::flush;
    store_twin(path, twin);
}

ExitCode train_pair(Communicator& world, const Experiment& experiment, Earlier earlier,
                    const std::string& images_digest, const TrainOnce& train_once) {
    ExitCode code = train_with_tables(world, experiment, earlier, images_digest, train_once);
    if (!experiment.profile.twin || code != ExitCode::ok) {
        return code;
    }
    log::keep_for_file();
    log::info("once more with profiling off (profile.twin)");
    const Experiment twin = twin_of(experiment);
    code = train_with_tables(world, twin, earlier, images_digest, train_once);
    if (code == ExitCode::ok) {
        world.agree_on_root([&] { report_twin(experiment, twin); });
        write_tables(world, experiment);  // experiment.csv has the comparison
    }
    return code;
}

}  // namespace

Experiment twin_of(const Experiment& experiment) {
    const std::string origin = "twin of " + run_file_path(experiment);
    Experiment twin = experiment;
    twin.set("profile.twin", "false", origin);
    twin.set("profile.level", "off", origin);
    twin.set("profile.overhead_check", "false", origin);
    twin.set("output.directory", (fs::path(experiment.output.directory) / "unprofiled").string(),
             origin);
    return twin;
}

void refuse_old_tables(const Experiment& experiment, const std::string& run_id) {
    if (!experiment.output.csv || experiment.output.overwrite) {
        return;
    }
    const auto path_of = [&](std::string_view name) {
        return fs::path(experiment.output.directory) /
               (tables_prefix(experiment) + std::string(name));
    };
    const std::optional<std::string> owner = run_of_table(path_of(csv_names.back()).string());
    if (owner && !run_id.empty() && *owner == run_id) {
        return;
    }
    for (const std::string_view name : csv_names) {
        const fs::path path = path_of(name);
        std::error_code failure;
        LL_VALIDATE(!fs::exists(path, failure), ExitCode::cannot_create,
                    text("'", path.string(),
                         "' is of another run (earlier results are kept) use --output.overwrite "
                         "true or another experiment.name or output.directory"));
    }
}

ExitCode run_experiment(Communicator& world, const Experiment& experiment,
                        const TrainOnce& train_once) {
    const TrainRepetition train = [&](const Experiment& one, Earlier earlier,
                                      const std::string& images_digest) {
        return train_pair(world, one, earlier, images_digest, train_once);
    };
    return experiment.experiment.repetitions == 1 ? train(experiment, Earlier::refuse, "")
                                                  : run_repetitions(world, experiment, train);
}

}  // namespace layerledger
