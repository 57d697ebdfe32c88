// Going on in the run file of an earlier start of the same run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layerledger/hdf5/file.hpp"
#include "iteration_arrays.hpp"
#include "layerledger/record/run_description.hpp"
#include "layerledger/record/run_writer.hpp"

namespace layerledger {

/// What of an earlier start is still in the file.
struct EarlierStart {
    std::int64_t committed = 0;          ///< rows
    std::int64_t dropped = 0;            ///< iterations that it lost
    std::uint64_t block_iterations = 0;  ///< 0: there are no arrays over iterations yet
    /// When its last iteration ended, as `iteration_start` counts; nothing where there is none.
    std::int64_t last_end_ns = 0;
    std::int64_t epoch_utc_ns = 0;  ///< 0 where the file does not say
    std::vector<ValidationRecord> validations;
    std::vector<PauseRecord> pauses;
};

/// Throws Error{cannot_create}, naming what differs, unless the rows of `description` fit into the
/// file's arrays.
void require_same_tables(const hdf5::File& file, const RunDescription& description,
                         const std::string& path);

/// Takes away what came at or after `iteration`, sets the status to "running" and adds a line to
/// the history. A kill in the middle leaves a file that can be continued just so.
[[nodiscard]] EarlierStart continue_run_file(hdf5::File& file, std::int64_t iteration,
                                             const std::string& history);

/// Time counts from the run's first iteration. A later start of the run goes on counting with the
/// time that passed on the calendar, but never goes back where that was set back. `first` is the
/// first block of this start.
[[nodiscard]] IterationArrays::Epoch epoch_of(const RecordBlock& first, std::size_t ranks,
                                              const EarlierStart& earlier);

}  // namespace layerledger
