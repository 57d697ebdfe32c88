// What people see of a run while it goes on: on the terminal, and dated in its log.
#pragma once

#include <fstream>
#include <list>

#include "progress.hpp"
#include "training_job.hpp"

namespace layerledger {

struct Displays {
    std::ofstream log;
    std::list<Progress> progress;
};

/// The log's file is beside the run file.
void open_displays(Displays& displays, const TrainingJob& job);

}  // namespace layerledger
