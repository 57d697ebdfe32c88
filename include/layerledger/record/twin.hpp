// A run against the same run without profiling.
#pragma once

#include <string>

#include "layerledger/record/run_writer.hpp"

namespace layerledger {

/// Compares iterations after warm-up, of the profiled run those that were profiled. An iteration
/// takes as long as on its slowest rank. Throws Error{bad_data} where a run has none.
[[nodiscard]] TwinRecord compare_twins(const std::string& profiled_file,
                                       const std::string& unprofiled_file);

/// Adds the comparison to a run file that is complete. Throws Error{data_lost} where that fails.
void store_twin(const std::string& profiled_file, const TwinRecord& twin);

/// The comparison in one line for people.
[[nodiscard]] std::string to_text(const TwinRecord& twin);

}  // namespace layerledger
