// Reads run files: the summary's numbers, and the check against the schema.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "layerledger/record/kernel_samples.hpp"
#include "layerledger/record/run_description.hpp"
#include "layerledger/record/run_writer.hpp"
#include "layerledger/timeline/stragglers.hpp"

namespace layerledger {

/// One layer over the iterations after warm-up. Microseconds per phase; NaN where not measured.
struct LayerSummary {
    std::string name;
    std::string kind;
    std::array<double, 3> time_us{};  ///< median over iterations, mean over ranks: the usual time
    std::array<double, 3> mean_us{};  ///< mean over both: its part of the account, which adds up
    std::array<double, 3> flops{};
    std::int64_t parameters = 0;
    double memory_bytes = absent;  ///< of all kinds; NaN where the file does not say
};

/// The same of one operation; recorded at level `op` only.
struct OpSummary {
    std::string name;
    std::string kind;
    std::int32_t layer = 0;
    std::array<double, 3> time_us{};
    std::array<double, 3> mean_us{};
};

struct RankSummary {
    std::string host;
    double iteration_us = 0;  ///< median
    double compute_us = 0;    ///< median of the sum of its layers: what makes others wait
};

/// Bytes of one rank; NaN where the file does not say.
struct MemorySummary {
    double peak_bytes = absent;  ///< largest of all ranks
    std::int64_t peak_rank = 0;
    double estimated_bytes = absent;  ///< of that rank, or of device_rank where there are GPUs
    double parameter_bytes = absent, gradient_bytes = absent, optimizer_bytes = absent,
           activation_bytes = absent;
    double largest_workspace_bytes = absent;  ///< of any layer: workspace is shared
    double device_bytes = absent;             ///< largest of all ranks on its GPU; NaN on CPUs
    double device_library_bytes = absent;     ///< of that rank
    std::int64_t device_rank = 0;
};

/// NaN where the file has no such time.
struct RunSummary {
    std::string path, title, status, network, backend, level;
    std::int64_t ranks = 0;
    std::int64_t batch_size = 0;
    std::int64_t committed_iterations = 0;
    std::int64_t measured_iterations = 0;  ///< profiled, after warm-up (all, if none was profiled)
    double iteration_us = 0;               ///< median over iterations of the maximum over ranks
    double mean_iteration_us = 0;          ///< over iterations and ranks
    double images_per_second = 0;
    std::vector<LayerSummary> layers;
    std::vector<OpSummary> ops;
    std::array<double, activity_count> activity_us{};  ///< means over ranks and iterations
    double allreduce_hidden_us = 0;
    double launch_bound_us = 0;
    /// Absolute, of each iteration's worst rank, over iterations.
    double unaccounted_median_percent = 0;
    double unaccounted_worst_percent = 0;  ///< the same, largest
    MemorySummary memory;
    std::vector<RankSummary> rank;
    std::int64_t slowest_rank = 0;  ///< largest compute_us
    double first_loss = 0, last_loss = 0;
    std::int64_t skipped_images = 0;
    std::int64_t dropped_iterations = 0;
    std::int64_t missing_iterations = 0;  ///< that a later start found not to be there
    std::int64_t lost_checkpoints = 0;    ///< that could not be written
    std::int64_t dropped_spans = 0;       ///< whose time is missing everywhere
    /// Since the file was last written, where its status is "running".
    std::optional<double> silent_seconds;
    std::optional<OverheadRecord> overhead;
    std::optional<ValidationRecord> validation;
    std::int64_t topk =
        0;  ///< among how many a label counts as found; 0 where the file does not say
    std::optional<TwinRecord> twin;
    std::optional<StagingRecord> staging;
    std::optional<CausalityRecord> causality;
    /// In how many of the iterations, as a share, each rank was the last; empty where the file does
    /// not say.
    std::vector<double> last_share;
    std::vector<Straggler> stragglers;     ///< the dearest first
    std::vector<Sensitivity> sensitivity;  ///< by layer and phase
    std::vector<BucketAnatomy> anatomy;    ///< by bucket
    KernelSamples kernels;                 ///< at level `kernel`: what devices were seen to do
    std::string injection;                 ///< profile.inject, where a layer was slowed on purpose
    std::vector<StartRecord> starts;       ///< oldest first; empty where the file does not say
};

/// Which run a file is of, and how far that came.
struct RunIdentity {
    std::string run_id;
    std::string status;
    std::int64_t ranks = 0;
    std::vector<Fact> settings;  ///< key and value
    std::int64_t committed_iterations = 0;
    std::int64_t last_validation = -1;  ///< training iterations before it; -1 where there is none
    std::string images_digest;          ///< of the data set; empty where it has no images
    bool has_this_schema = true;  ///< the version that this program writes: it can be gone on with
    std::int64_t last_iteration = -1;  ///< of those committed; -1 where there is none
};

/// Throws as `summarize` does.
[[nodiscard]] RunIdentity identify_run(const std::string& path);

/// Throws Error: input_missing where there is no such file, bad_data where it is no run file or of
/// an unknown major schema version.
[[nodiscard]] RunSummary summarize(const std::string& path);

/// What "running" may mean besides: whoever was killed with its whole job could not say so. Empty
/// where the run has another status.
[[nodiscard]] std::string running_text(const RunSummary& summary);

/// The summary as a table for people.
[[nodiscard]] std::string to_text(const RunSummary& summary);

/// Everything in the file that breaks the schema, one sentence each; empty when it is whole.
/// Throws as `summarize` does where the file cannot be read at all.
[[nodiscard]] std::vector<std::string> check_run_file(const std::string& path);

}  // namespace layerledger
