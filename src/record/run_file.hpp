// Makes a run file, before its first iteration.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "layerledger/hdf5/file.hpp"
#include "layerledger/record/run_description.hpp"

namespace layerledger {

/// How a run came to where it is.
struct Past {
    std::vector<StartRecord> starts;  ///< oldest first; the last is the one that goes on now
    std::int64_t missing = 0;         ///< iterations of earlier starts that nothing is known of
};

/// Makes the file with all that is known before the first iteration; with the arrays over
/// iterations, still empty, where `block_iterations` is not 0. Built under another name and
/// renamed, so that a kill never leaves half of it.
void build_run_file(const std::string& path, const RunDescription& description, const Past& past,
                    std::size_t block_iterations);

/// A line for the attribute `history`.
[[nodiscard]] std::string history_line(const StartRecord& start);

/// Takes away rows beyond `committed_iterations` that a broken-off commit has left.
void drop_uncommitted_rows(hdf5::File& file);

}  // namespace layerledger
