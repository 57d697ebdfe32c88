// The memory of ranks in the run file.
#pragma once

#include <vector>

#include "layerledger/hdf5/file.hpp"
#include "layerledger/record/run_writer.hpp"

namespace layerledger {

/// By rank. What a file of an older version has no place for is left out.
void write_peak_memory(hdf5::File& file, const std::vector<PeakMemory>& ranks);

/// By rank, NaN where the file does not say; empty in a file without any.
[[nodiscard]] std::vector<PeakMemory> read_peak_memory(const hdf5::File& file);

}  // namespace layerledger
