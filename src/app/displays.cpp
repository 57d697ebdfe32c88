#include "displays.hpp"

#include <iostream>
#include <utility>

#include "layerledger/base/log.hpp"
#include "run_paths.hpp"

namespace layerledger {

void open_displays(Displays& displays, const TrainingJob& job) {
    const OutputSettings& output = job.experiment.output;
    ProgressOptions options = progress_options(output.progress, output.progress_seconds);
    options.iterations = job.options.iterations;
    options.iterations_per_epoch = job.options.iterations_per_epoch;
    ProgressOptions of_log = options;
    of_log.style = ProgressStyle::log;
    of_log.interval_seconds = output.progress_seconds;

    const std::string path = log_path(job.experiment);
    log::add_file(path);
    displays.log.open(path, std::ios::app);
    displays.progress.emplace_back(std::cout, std::move(options));
    displays.progress.emplace_back(displays.log, std::move(of_log));
}

}  // namespace layerledger
