// Makes a run file, before its first iteration.
#pragma once

#include <cstddef>
#include <string>

#include "layerledger/hdf5/file.hpp"
#include "layerledger/record/run_description.hpp"

namespace layerledger {

/// Makes the file with all that is known before the first iteration; with the arrays over
/// iterations, still empty, where `block_iterations` is not 0. Built under another name and
/// renamed, so that a kill never leaves half of it.
void build_run_file(const std::string& path, const RunDescription& description,
                    std::size_t block_iterations);

/// Takes away rows beyond `committed_iterations` that a broken-off commit has left.
void drop_uncommitted_rows(hdf5::File& file);

}  // namespace layerledger
