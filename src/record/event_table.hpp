// Tables of what happens now and then in a run: one row an event, each column an array of the
// table's group on a growing scale of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layerledger/hdf5/file.hpp"
#include "layerledger/record/kernel_samples.hpp"
#include "layerledger/record/run_writer.hpp"
#include "layerledger/timeline/stragglers.hpp"

namespace layerledger {

/// Makes the tables, empty: in /validation every validation, in /pauses every pause of training,
/// in /starts every start of the run, in /clocks every reading of each rank's clock, in
/// /late who was last in each iteration, in /stragglers who lastingly was and why, in /sensitivity
/// from what on that would have been seen,
/// in /anatomy what the all-reduce of each bucket consists of, in /samples, /kernels and /copies
/// what devices were seen to do.
void create_event_tables(hdf5::File& file);

/// Makes `events` the rows of their table, of which the first `written` are there already. A file
/// of an older version gets no table.
void write_events(hdf5::File& file, const std::vector<ValidationRecord>& events,
                  std::size_t written);
void write_events(hdf5::File& file, const std::vector<PauseRecord>& events, std::size_t written);
void write_events(hdf5::File& file, const std::vector<StartRecord>& events, std::size_t written);
void write_events(hdf5::File& file, const std::vector<ClockRecord>& events, std::size_t written);
void write_events(hdf5::File& file, const std::vector<LateIteration>& events, std::size_t written);
void write_events(hdf5::File& file, const std::vector<Straggler>& events, std::size_t written);
void write_events(hdf5::File& file, const std::vector<Sensitivity>& events, std::size_t written);
void write_events(hdf5::File& file, const std::vector<BucketAnatomy>& events, std::size_t written);

/// Rows of the three tables of kernels.
struct KernelRows {
    std::size_t samples = 0;
    std::size_t kernels = 0;
    std::size_t copies = 0;
};
[[nodiscard]] inline KernelRows rows_of(const KernelSamples& all) {
    return {all.samples.size(), all.kernels.size(), all.copies.size()};
}
/// Makes `fresh` the rows behind `before`, and the last ones.
void write_kernels(hdf5::File& file, const KernelSamples& fresh, const KernelRows& before);

/// Rows that are whole in all columns.
[[nodiscard]] std::vector<ValidationRecord> read_validations(const hdf5::File& file);
[[nodiscard]] std::vector<PauseRecord> read_pauses(const hdf5::File& file);
[[nodiscard]] std::vector<StartRecord> read_starts(const hdf5::File& file);
[[nodiscard]] std::vector<ClockRecord> read_clocks(const hdf5::File& file);
[[nodiscard]] KernelSamples read_kernel_samples(const hdf5::File& file);
[[nodiscard]] std::vector<LateIteration> read_late(const hdf5::File& file);
[[nodiscard]] std::vector<Straggler> read_stragglers(const hdf5::File& file);
[[nodiscard]] std::vector<Sensitivity> read_sensitivity(const hdf5::File& file);
[[nodiscard]] std::vector<BucketAnatomy> read_anatomy(const hdf5::File& file);

/// What is wrong with the tables, one sentence each. Where `is_running`, a kill may have left a
/// column longer than another.
[[nodiscard]] std::vector<std::string> check_event_tables(const hdf5::File& file, bool is_running);

}  // namespace layerledger
