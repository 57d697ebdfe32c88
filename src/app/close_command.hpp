// layerledger close: after a job whose ranks were all killed at once.
#pragma once

#include <string>
#include <vector>

#include "layerledger/base/error.hpp"

namespace layerledger {

/// Given what `train` was given: says "failed" in what of that training still says "running", run
/// files and the index of repetitions, and prints what it found. Throws Error{cannot_create} where
/// a start is writing it, or where it cannot be changed.
[[nodiscard]] ExitCode run_close_command(const std::vector<std::string>& arguments);

}  // namespace layerledger
