// Writes the run file, on rank 0. A kill at any moment leaves a file that opens and holds every
// committed iteration; a full disk or a reader's lock never ends training.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layerledger/record/iteration_record.hpp"
#include "layerledger/record/kernel_samples.hpp"
#include "layerledger/record/run_description.hpp"

namespace layerledger {

enum class RunStatus : unsigned char { running, complete, interrupted, failed };

/// Result of alternating profiled and unprofiled blocks (see timeline/overhead.hpp).
struct OverheadRecord {
    double percent = 0;  ///< median of (profiled / unprofiled - 1) * 100
    double low = 0;      ///< 95 % interval
    double high = 0;
    std::int64_t pairs = 0;
    double measurement_percent = 0;  ///< share of the activity `measurement`, contained in percent
};

struct ValidationRecord {
    double loss = 0;
    double top1 = 0;  ///< shares, 0 to 1
    double topk = 0;
    std::int64_t images = 0;
    double seconds = 0;
    std::int64_t iteration = 0;  ///< after how many training iterations
};

/// Time in which training waited, in no iteration.
struct PauseRecord {
    std::int64_t iteration = 0;  ///< after how many training iterations
    std::int64_t kind = 0;       ///< index into pause_kind_names
    double seconds = 0;
};
enum class PauseKind : unsigned char { checkpoint, validation };
inline constexpr std::array<std::string_view, 2> pause_kind_names{"checkpoint", "validation"};

/// A rank's clock against rank 0's, at some moment outside all windows.
struct ClockRecord {
    std::int64_t iteration = 0;  ///< training iterations before the reading
    std::int64_t rank = 0;
    std::int64_t time_ns = 0;    ///< of rank 0's clock
    std::int64_t offset_ns = 0;  ///< the rank's clock minus rank 0's
    std::int64_t bound_ns = 0;
    double drift = absent;  ///< growth of the offset since the reading before, as a share of time
};

/// Where the all-reduce of a bucket spent its time: means over the ranks and over those iterations
/// that took neither shortest nor longest, so that hidden and exposed make as much as wait and
/// transfer.
struct BucketAnatomy {
    std::int64_t iteration = 0;  ///< the bucket: the order of these rows
    double hidden_us = absent;   ///< while a layer's backward pass worked
    double exposed_us = absent;
    double wait_us = absent;              ///< from a rank's arrival to the last one's
    double transfer_us = absent;          ///< from the last arrival to the sum
    double algorithm_bandwidth = absent;  ///< GB/s: bytes of the bucket over transfer
    double bus_bandwidth = absent;        ///< the same times 2 (ranks - 1) / ranks
    double zero_skew_us = absent;  ///< transfer of as many bytes with all ranks there at once
};

/// Whether no rank leaves an all-reduce before the last one enters it, on clocks brought onto one.
struct CausalityRecord {
    std::int64_t checked = 0;  ///< buckets of all iterations between two readings of the clocks
    /// In so many a rank seems to, and the clocks may be wrong by that much.
    std::int64_t within_bounds = 0;
    std::int64_t violations = 0;  ///< in so many a rank does by more than that
    double worst_us = absent;     ///< the largest time beyond what the clocks may be wrong by
    std::int64_t worst_iteration = -1;
    std::int64_t worst_bucket = -1;
    std::int64_t worst_rank = -1;  ///< that left
    double widest_bound_us = 0;    ///< by so much a rank's clock may be wrong at most
};

/// The sum of rank 0's iteration windows against a clock that the windows were not made from.
struct WallClockRecord {
    double windows_us = 0;
    double elapsed_us = 0;  ///< from before the first iteration to after the last
    double paused_us = 0;   ///< of it in pauses, which are in no window
};

/// Largest memory of one rank during a run.
struct PeakMemory {
    double process_bytes = absent;
    double device_bytes = absent;          ///< of its GPU's, for training; NaN on CPUs
    double device_library_bytes = absent;  ///< taken of it by libraries, at the end
};

/// A run against the same run with profiling off.
struct TwinRecord {
    double median_percent = 0;   ///< (profiled / unprofiled - 1) * 100 of the median iteration
    double median_low = absent;  ///< its 95 % interval; NaN where there are too few iterations
    double median_high = absent;
    double percent = 0;      ///< the same of the mean iteration
    double profiled_us = 0;  ///< mean iteration
    double unprofiled_us = 0;
    double profiled_seconds = 0;  ///< all iterations
    double unprofiled_seconds = 0;
};

/// Most bytes of rows that wait for a file that cannot be written.
inline constexpr std::size_t pending_limit_bytes = std::size_t{256} << 20;
/// How long the end of a run waits for such a file.
inline constexpr std::chrono::seconds finish_patience{10};

class RunWriter {
public:
    /// Creates the file with everything but iterations, status "running".
    /// Throws Error{cannot_create} where the file exists (unless `overwrite`) or cannot be made.
    RunWriter(std::string path, const RunDescription& description, bool overwrite);
    /// Goes on in the file of an earlier start of the same run, which had come to iteration
    /// `description.start.iteration`: takes away what the file has of it and of later ones, and
    /// counts which earlier ones it lacks. `iteration_start` goes on with the time that passed on
    /// the calendar between the two. Throws Error{cannot_create} where the file has other layers,
    /// buckets, ranks or batches, bad_data where it cannot be read.
    struct GoOn {};
    RunWriter(std::string path, const RunDescription& description, GoOn);
    /// Commits what is left, as `finish(RunStatus::failed)` does, unless `finish` was called.
    ~RunWriter();
    RunWriter(const RunWriter&) = delete;
    RunWriter& operator=(const RunWriter&) = delete;

    /// Fixes how many iterations go into one commit (and one chunk) before the first `append`;
    /// without it the first block does.
    void set_block_iterations(std::size_t iterations);

    /// The above; 0 before it is fixed.
    [[nodiscard]] std::size_t block_iterations() const noexcept;

    /// Takes a block and tries to commit it. On failure warns once, keeps it and retries with the
    /// next call, up to a bound on memory; beyond that the oldest blocks are dropped and counted.
    void append(RecordBlock block);

    void set_overhead(const OverheadRecord& overhead);
    /// A row of a table that is written now or, where that fails, with what comes next. The last
    /// validation is the run's result.
    void add_validation(const ValidationRecord& validation);
    void add_pause(PauseKind kind, std::int64_t iteration, double seconds);
    /// One reading of every rank's clock.
    void add_clocks(const std::vector<ClockRecord>& clocks);
    /// Rows of one more iteration whose kernels were seen.
    void add_kernels(const KernelSamples& samples);
    /// What each bucket's transfer takes without skew, in microseconds.
    void set_zero_skew(const std::vector<double>& times_us);
    void set_wall_clock(const WallClockRecord& wall_clock);
    /// Of each rank.
    void set_peak_memory(std::vector<PeakMemory> ranks);
    /// Images that could not be read and were replaced, summed over ranks.
    void set_skipped_images(std::int64_t images);
    /// Checkpoints of this start that could not be written.
    void set_lost_checkpoints(std::int64_t checkpoints);
    /// Spans that the recorders had no room for, summed over ranks (see `Recorder::dropped`).
    void set_dropped_spans(std::int64_t spans);

    /// Commits what is left and waits until all of it is on the disk. False where that fails.
    [[nodiscard]] bool sync();

    /// Commits what is left and the status, for at most `finish_patience` where that fails.
    /// Returns false where data was lost (exit 74). A run that failed before its first commit
    /// leaves no file.
    [[nodiscard]] bool finish(RunStatus status);

    /// For any other thread, where the process is about to end: `finish(RunStatus::failed)` within
    /// about `patience`, unless the run is finished or being written to for as long.
    void fail_within(std::chrono::nanoseconds patience);

    [[nodiscard]] const std::string& path() const noexcept;
    [[nodiscard]] std::int64_t committed_iterations() const noexcept;
    /// After how many training iterations the newest validation was; -1 where there is none.
    [[nodiscard]] std::int64_t last_validation() const noexcept;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// For ranks that did not make the file, when rank 0 is about to be ended: sets the status to
/// "failed" if it still says "running", or removes the file if no iteration is committed. Leaves a
/// file alone that anyone else has open. Never throws.
void mark_failed(const std::string& path) noexcept;

/// Says in a run file that its lists of images have other names now; nothing where it names none.
/// Throws Error{data_lost} where that cannot be written.
void rename_image_lists(const std::string& path, const std::string& train_list,
                        const std::string& val_list);

}  // namespace layerledger
