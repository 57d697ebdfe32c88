// Going on in the run file of an earlier start of the same run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "iteration_arrays.hpp"
#include "layerledger/hdf5/file.hpp"
#include "layerledger/record/run_description.hpp"
#include "layerledger/record/run_writer.hpp"
#include "run_file.hpp"

namespace layerledger {

/// What of an earlier start is still in the file.
struct EarlierStart {
    std::int64_t committed = 0;  ///< rows
    std::int64_t dropped = 0;    ///< of the iterations before, lost while recording
    std::int64_t lost_checkpoints = 0;
    std::int64_t dropped_spans = 0;
    std::vector<PeakMemory> peak_memory;  ///< by rank
    std::uint64_t block_iterations = 0;   ///< 0: there are no arrays over iterations yet
    /// When its last iteration ended, as `iteration_start` counts; nothing where there is none.
    std::int64_t last_end_ns = 0;
    std::int64_t epoch_utc_ns = 0;  ///< 0 where the file does not say
    std::vector<ValidationRecord> validations;
    std::vector<PauseRecord> pauses;
    std::vector<ClockRecord> clocks;
    KernelSamples kernels;
    Past past;  ///< with the start that goes on now
};

/// Throws Error{cannot_create}, naming what differs, unless the rows of `description` fit into the
/// file's arrays.
void require_same_tables(const hdf5::File& file, const RunDescription& description,
                         const std::string& path);

/// Takes away what came at or after `start.iteration`, counts what the file lacks before it, sets
/// the status to "running" and puts the start on record. A kill in the middle leaves a file that
/// can be continued just so.
[[nodiscard]] EarlierStart continue_run_file(hdf5::File& file, const StartRecord& start);

/// Time counts from the run's first iteration. A later start of the run goes on counting with the
/// time that passed on the calendar, but never goes back where that was set back. `first` is the
/// first block of this start.
[[nodiscard]] IterationArrays::Epoch epoch_of(const RecordBlock& first, std::size_t ranks,
                                              const EarlierStart& earlier);

}  // namespace layerledger
