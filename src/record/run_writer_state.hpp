// What a run writer knows between two calls.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "continuation.hpp"
#include "event_table.hpp"
#include "iteration_arrays.hpp"
#include "layerledger/hdf5/file.hpp"
#include "layerledger/record/run_writer.hpp"

namespace layerledger {

struct RunWriter::State {
    std::string path;
    bool overwrite;
    RunDescription description;
    RecordLayout layout;
    std::size_t block_iterations = 0;       ///< 0: as many as the first block has
    std::optional<IterationArrays> arrays;  ///< once the arrays exist in the file

    std::deque<RecordBlock> pending;
    std::size_t pending_bytes = 0;
    std::int64_t committed = 0;
    std::int64_t dropped = 0;
    std::optional<IterationArrays::Epoch> epoch;
    EarlierStart earlier;           ///< nothing but the past where the file is new
    std::uint64_t end_of_data = 0;  ///< size of the file without its spare room
    bool is_failing = false;
    std::string failure;  ///< why the last write failed; empty where none has
    bool is_finished = false;
    std::timed_mutex turn;  ///< of the thread that is in a method

    std::optional<OverheadRecord> overhead;
    std::vector<ValidationRecord> validations;
    std::vector<PauseRecord> pauses;
    std::vector<ClockRecord> clocks;
    KernelSamples kernels;                ///< not in the file yet, or only until it is built anew
    KernelRows kernel_rows;               ///< in the file, besides
    std::size_t written_validations = 0;  ///< of these, and of the others, are in the file
    std::size_t written_pauses = 0;
    std::size_t written_clocks = 0;
    bool has_lost_kernels = false;
    std::optional<WallClockRecord> wall_clock;
    std::vector<BucketAnatomy> zero_skew;  ///< nothing else in them
    std::vector<PeakMemory> peak_memory;   ///< by rank; empty: not known
    std::int64_t skipped_images = 0;
    std::int64_t lost_checkpoints = 0;
    std::int64_t dropped_spans = 0;

    State(std::string file, const RunDescription& run, bool may_overwrite)
        : path(std::move(file)), overwrite(may_overwrite), description(run), layout(run.extents()) {
        earlier.past.starts = {run.start};
    }

    void build(std::size_t chunk_iterations);
    void go_on();
    void write_new_events(hdf5::File& file);
    void kernels_are_written();
    [[nodiscard]] bool try_write_events();
    void take(RecordBlock block);
    void commit_next();
    [[nodiscard]] bool try_commit_all();
    [[nodiscard]] bool try_write_end(RunStatus status);
    [[nodiscard]] bool finish(RunStatus status, std::chrono::nanoseconds patience);
    void warn_once(const std::exception& error);
    void note_recovery();
    void after_close();
    [[nodiscard]] bool is_empty() const { return committed == 0 && pending.empty(); }
};

[[nodiscard]] inline std::size_t bytes_of(const RecordBlock& block) {
    return block.rows.size() * sizeof(float) + block.starts_ns.size() * sizeof(std::int64_t);
}

[[nodiscard]] inline std::size_t bytes_of(const KernelSamples& samples) {
    return samples.samples.size() * sizeof(SampleRecord) +
           samples.kernels.size() * sizeof(KernelRecord) +
           samples.copies.size() * sizeof(CopyRecord);
}

}  // namespace layerledger
