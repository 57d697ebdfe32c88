// A run as tables and as a timeline, from its run file alone: while it runs, or years later.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace layerledger {

/// A file that an export made.
struct ExportedFile {
    std::string path;
    std::uint64_t entries = 0;  ///< rows below the header, or events
};

inline constexpr std::array<std::string_view, 3> csv_names{"layers.csv", "iterations.csv",
                                                           "experiment.csv"};

/// The run_id in a table of experiments; nothing where there is no such file, or not of one run.
[[nodiscard]] std::optional<std::string> run_of_table(const std::string& experiment_csv);

/// Writes the three tables of some runs into a folder, which is made where it is missing; their
/// names are `csv_names` with `prefix` before them. Tables that are there are replaced, each at
/// once, that of the experiment first: it says whose the others are. Only committed iterations
/// count. Memory does not grow with the length of a run.
///
/// The first column of each table is the run: its name, or where several share one its file.
///   layers.csv      a row for each iteration, rank and layer that was timed: milliseconds
///   iterations.csv  a row for each iteration and rank; layers, activities and unaccounted add up
///   to
///                   the time. Loss and accuracy are means over ranks.
///   experiment.csv  a row for each run: what the summary says; after a quarter, a half, three
///                   quarters and all of its iterations the time so far, how much of it was in
///                   layers, accounted for (layers and activities) and missing, mean over ranks
///                   (seconds: empty unless every iteration was profiled; the share missing is of
///                   those that were); and every fact in the file as GROUP.NAME, such as
///                   config.train.batch_size.
/// What is absent is an empty field; a loss that is no number is NaN.
///
/// Throws Error: input_missing and bad_data as `summarize` does, before anything is written;
/// cannot_create where a table cannot be made, data_lost where the disk is full.
std::vector<ExportedFile> export_csv(std::span<const std::string> run_files,
                                     const std::string& folder, std::string_view prefix = {});

/// Training iterations, both ends included.
struct TraceWindow {
    std::int64_t first = 0;
    std::int64_t last = 0;
};

/// Most events in a trace: viewers load the whole of it into memory.
inline constexpr std::uint64_t most_trace_events = 2'000'000;

/// Writes a window of a run as gzipped JSON in the trace event format, which Perfetto and
/// chrome://tracing read: a process for each rank, in it a lane for its iterations, its compute
/// stream, its communication stream and its copies, on rank 0's clock. Without a window the first
/// three measured iterations, or as many as fit.
///
/// Throws Error: input_missing and bad_data as `summarize` does; configuration where the window is not in
/// the run, or holds more events than a trace may have; cannot_create and data_lost as above.
ExportedFile export_trace(const std::string& run_file, const std::string& path,
                          const std::optional<TraceWindow>& window);

}  // namespace layerledger
