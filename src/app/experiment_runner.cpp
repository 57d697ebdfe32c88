#include "experiment_runner.hpp"

#include <array>
#include <filesystem>
#include <iostream>
#include <system_error>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/record/export.hpp"
#include "layerledger/record/run_reader.hpp"
#include "layerledger/record/twin.hpp"
#include "repetitions.hpp"
#include "run_paths.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;

void write_tables(Communicator& world, const Experiment& experiment) {
    if (experiment.output.csv) {
        world.agree_on_root([&] {
            const std::array runs{run_file_path(experiment)};
            export_csv(runs, experiment.output.directory);
        });
    }
}

ExitCode train_with_tables(Communicator& world, const Experiment& experiment,
                           const TrainOnce& train_once) {
    const ExitCode code = train_once(experiment);
    if (code == ExitCode::ok) {
        write_tables(world, experiment);
    }
    return code;
}

/// The same experiment, without profiling.
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

/// Compares the two runs and says how, beside what the profiled one found within itself.
void report_twin(const Experiment& profiled, const Experiment& unprofiled) {
    const std::string path = run_file_path(profiled);
    const TwinRecord twin = compare_twins(path, run_file_path(unprofiled));
    store_twin(path, twin);
    std::cout << "\nprofiling against none: " << to_text(twin) << '\n';
    if (const auto overhead = summarize(path).overhead) {
        std::cout << "within the profiled run: " << fixed(overhead->percent, 2)
                  << " % of the iteration (95 % interval " << fixed(overhead->low, 2) << " to "
                  << fixed(overhead->high, 2) << ")\n";
    }
    std::cout << std::flush;
}

ExitCode train_pair(Communicator& world, const Experiment& experiment,
                    const TrainOnce& train_once) {
    ExitCode code = train_with_tables(world, experiment, train_once);
    if (!experiment.profile.twin || code != ExitCode::ok) {
        return code;
    }
    log::keep_for_file();
    log::info("once more with profiling off (profile.twin)");
    const Experiment twin = twin_of(experiment);
    code = train_with_tables(world, twin, train_once);
    if (code == ExitCode::ok) {
        world.agree_on_root([&] { report_twin(experiment, twin); });
        write_tables(world, experiment);  // experiment.csv has the comparison
    }
    return code;
}

}  // namespace

void refuse_old_tables(const Experiment& experiment) {
    if (!experiment.output.csv || experiment.output.overwrite) {
        return;
    }
    for (const std::string_view name : csv_names) {
        const fs::path path = fs::path(experiment.output.directory) / name;
        std::error_code failure;
        LL_VALIDATE(!fs::exists(path, failure), ExitCode::cannot_create,
                    text("'", path.string(),
                         "' already exists (earlier results are kept) use --output.overwrite true "
                         "or another output.directory"));
    }
}

ExitCode run_experiment(Communicator& world, const Experiment& experiment,
                        const TrainOnce& train_once) {
    const TrainOnce train = [&](const Experiment& one) {
        return train_pair(world, one, train_once);
    };
    return experiment.experiment.repetitions == 1 ? train(experiment)
                                                  : run_repetitions(world, experiment, train);
}

}  // namespace layerledger
