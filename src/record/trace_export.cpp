#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "gzip_file.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/phase.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/record/export.hpp"
#include "layerledger/timeline/ledger.hpp"
#include "measured_rows.hpp"
#include "open_run_file.hpp"
#include "trace_events.hpp"

namespace layerledger {
namespace {

/// The threads of each rank's process.
enum Lane : int { iterations_lane, compute_lane, communication_lane, copies_lane };
constexpr std::array lane_names{"iterations", "compute", "communication", "copies"};

constexpr std::int64_t usual_iterations = 3;

/// Rows of the file.
struct RowWindow {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
};

std::int64_t nanoseconds(float us) {
    return std::llround(static_cast<double>(us) * 1e3);
}

/// What the run looks like, and all its times in the window. Of several indices the row comes
/// first, then the rank.
struct WindowData {
    std::uint64_t rows = 0, ranks = 0, layers = 0, ops = 0, buckets = 0;
    std::vector<std::string> host, layer, op, bucket_layers;
    std::vector<std::int32_t> op_layer;
    std::vector<std::int64_t> clock_bound_ns, bucket_bytes;
    std::vector<double> flops, bytes;  ///< [layer, phase]

    std::vector<std::int64_t> iteration, start_ns;
    std::vector<std::int32_t> epoch;
    std::vector<float> loss, learning_rate;
    std::vector<float> iteration_time, unaccounted, activity_time;
    std::vector<float> layer_start, layer_time, op_time;
    std::vector<float> bucket_ready, bucket_start, bucket_transfer, bucket_end;
    std::vector<float> h2d_start, h2d_end, d2h_start, d2h_end;  ///< empty in older files
};

void read_description(const hdf5::File& file, WindowData& data) {
    data.host = file.read<std::string>("hostname");
    data.clock_bound_ns = file.read<std::int64_t>("clock_bound");
    data.layer = file.read<std::string>("layer");
    data.flops = file.read<double>("layer_flops");
    data.bytes = file.read<double>("layer_bytes");
    if (file.contains("op")) {
        data.op = file.read<std::string>("op");
        data.op_layer = file.read<std::int32_t>("op_layer");
    }
    if (file.contains("bucket")) {
        data.bucket_bytes = file.read<std::int64_t>("bucket_bytes");
        data.bucket_layers = file.read<std::string>("bucket_layers");
    }
    data.ranks = data.host.size();
    data.layers = data.layer.size();
    data.ops = data.op.size();
    data.buckets = data.bucket_bytes.size();
}

void read_times(const hdf5::File& file, const RowWindow& window, WindowData& data) {
    const auto read = [&]<class T>(const char* dataset, std::vector<T>& values) {
        hdf5::Slab slab{hdf5::Extent(file.extent(dataset).size(), 0), file.extent(dataset)};
        slab.start[0] = window.first;
        slab.count[0] = window.count;
        values = file.read<T>(dataset, slab);
    };
    data.rows = window.count;
    read("iteration", data.iteration);
    read("iteration_start", data.start_ns);
    read("epoch", data.epoch);
    read("loss", data.loss);
    read("learning_rate", data.learning_rate);
    read("iteration_time", data.iteration_time);
    read("unaccounted", data.unaccounted);
    read("activity_time", data.activity_time);
    read("layer_start", data.layer_start);
    read("layer_time", data.layer_time);
    if (file.contains("h2d_start")) {
        read("h2d_start", data.h2d_start);
        read("h2d_end", data.h2d_end);
        read("d2h_start", data.d2h_start);
        read("d2h_end", data.d2h_end);
    }
    if (data.ops > 0) {
        read("op_time", data.op_time);
    }
    if (data.buckets > 0) {
        read("bucket_ready", data.bucket_ready);
        read("bucket_start", data.bucket_start);
        read("bucket_transfer", data.bucket_transfer);
        read("bucket_end", data.bucket_end);
    }
}

std::uint64_t events_per_iteration(const WindowData& data) {
    constexpr std::uint64_t parts_of_a_bucket = 3;
    constexpr std::uint64_t counters = 2;
    constexpr std::uint64_t copies = 2;
    return data.ranks *
               (1 + copies + data.layers * phases.size() + data.buckets * parts_of_a_bucket) +
           counters;
}

std::uint64_t most_iterations(const WindowData& data) {
    return std::max<std::uint64_t>(1, most_trace_events / events_per_iteration(data));
}

RowWindow default_window(const hdf5::File& file, const WindowData& data, std::uint64_t committed) {
    const Rows measured = measured_rows(file, committed);
    const std::uint64_t first = measured.chosen.empty() ? 0 : measured.first;
    return {first, std::min({committed - first, most_iterations(data),
                             static_cast<std::uint64_t>(usual_iterations)})};
}

RowWindow wanted_window(const hdf5::File& file, const WindowData& data, const TraceWindow& wanted,
                        std::uint64_t committed) {
    const auto iteration = file.read<std::int64_t>("iteration", hdf5::Slab{{0}, {committed}});
    LL_VALIDATE(wanted.first >= iteration.front() && wanted.last <= iteration.back() &&
                    wanted.first <= wanted.last,
                ExitCode::configuration,
                text("--iterations ", wanted.first, ":", wanted.last,
                     " is not in the run (command line); it has ", iteration.front(), ":",
                     iteration.back()));
    const auto first = std::ranges::lower_bound(iteration, wanted.first);
    const auto last = std::ranges::upper_bound(iteration, wanted.last);
    const auto count = static_cast<std::uint64_t>(last - first);
    LL_VALIDATE(count > 0, ExitCode::configuration,
                text("--iterations ", wanted.first, ":", wanted.last,
                     " were lost when the run was recorded (command line); choose others"));
    LL_VALIDATE(count <= most_iterations(data), ExitCode::configuration,
                text("--iterations ", wanted.first, ":", wanted.last, " has ",
                     count * events_per_iteration(data), " events (viewers fail on more than ",
                     most_trace_events, ") at most ", most_iterations(data),
                     " iterations of this run fit"));
    return {static_cast<std::uint64_t>(first - iteration.begin()), count};
}

void name_lanes(TraceEvents& events, const WindowData& data) {
    for (std::uint64_t i = 0; i < data.ranks; ++i) {
        const auto rank = static_cast<std::int64_t>(i);
        events.metadata(rank, 0, "process_name",
                        JsonMembers().text("name", text("rank ", rank, " (", data.host[i], ")")));
        events.metadata(rank, 0, "process_sort_index",
                        JsonMembers().number("sort_index", static_cast<double>(rank)));
        events.metadata(
            rank, 0, "process_labels",
            JsonMembers().text("labels", text("clock within ", data.clock_bound_ns[i], " ns")));
        for (int lane = 0; lane < std::ssize(lane_names); ++lane) {
            const char* name = lane_names.at(static_cast<std::size_t>(lane));
            events.metadata(rank, lane, "thread_name", JsonMembers().text("name", name));
            events.metadata(rank, lane, "thread_sort_index",
                            JsonMembers().number("sort_index", static_cast<double>(lane)));
        }
    }
}

/// One rank in one iteration.
class IterationTrace {
public:
    IterationTrace(const WindowData& data, std::uint64_t row, std::uint64_t rank,
                   std::int64_t origin_ns)
        : data_(data),
          row_(row),
          at_(row * data.ranks + rank),
          start_ns_(data.start_ns[at_] - origin_ns) {}

    /// The window, with the activities: the file knows how long they took, not when.
    void add_iteration(TraceLane& lane) const {
        JsonMembers arguments;
        arguments.number("epoch", static_cast<double>(data_.epoch[row_]));
        arguments.number("loss", data_.loss[row_]);
        arguments.number("learning_rate", data_.learning_rate[row_]);
        for (std::size_t i = 0; i < activity_count; ++i) {
            arguments.number(text(activity_names.at(i), "_us"),
                             data_.activity_time[at_ * activity_count + i]);
        }
        arguments.number("unaccounted_us", data_.unaccounted[at_]);
        lane.add(0, text("iteration ", data_.iteration[row_]), "iteration", start_ns_,
                 start_ns_ + nanoseconds(data_.iteration_time[at_]), arguments);
    }

    void add_layers(TraceLane& lane) const {
        const std::uint64_t cells = data_.layers * phases.size();
        const float* const starts = data_.layer_start.data() + at_ * cells;
        const float* const times = data_.layer_time.data() + at_ * cells;
        std::vector<std::uint64_t> order;
        for (std::uint64_t cell = 0; cell < cells; ++cell) {
            if (!std::isnan(starts[cell]) && !std::isnan(times[cell])) {
                order.push_back(cell);
            }
        }
        std::ranges::stable_sort(order, {}, [&](std::uint64_t cell) { return starts[cell]; });
        for (const std::uint64_t cell : order) {
            const Phase phase = phases.at(cell % phases.size());
            const std::int64_t start = start_ns_ + nanoseconds(starts[cell]);
            lane.add(0, text(data_.layer[cell / phases.size()], " ", name(phase)), name(phase),
                     start, start + nanoseconds(times[cell]), layer_arguments(cell));
        }
    }

    /// On a stream of their own, or where the training thread makes them.
    void add_copies(TraceLane& lane) const {
        const auto add = [&](const char* name, const std::vector<float>& starts,
                             const std::vector<float>& ends) {
            if (!starts.empty() && !std::isnan(starts[at_])) {
                lane.add(0, text(name, " ", data_.iteration[row_]), "memcpy",
                         start_ns_ + nanoseconds(starts[at_]), start_ns_ + nanoseconds(ends[at_]),
                         {});
            }
        };
        add("h2d", data_.h2d_start, data_.h2d_end);
        add("d2h", data_.d2h_start, data_.d2h_end);
    }

    void add_buckets(TraceLane& lane) const {
        for (std::uint64_t bucket = 0; bucket < data_.buckets; ++bucket) {
            const std::uint64_t i = at_ * data_.buckets + bucket;
            if (std::isnan(data_.bucket_start[i]) || std::isnan(data_.bucket_end[i])) {
                continue;
            }
            const std::int64_t start = start_ns_ + nanoseconds(data_.bucket_start[i]);
            const std::int64_t transfer = start_ns_ + nanoseconds(data_.bucket_transfer[i]);
            const std::int64_t end = start_ns_ + nanoseconds(data_.bucket_end[i]);
            JsonMembers arguments;
            arguments.text("layers", data_.bucket_layers[bucket]);
            arguments.number("bytes", static_cast<double>(data_.bucket_bytes[bucket]));
            // Between these two the gradients wait for the buckets before them.
            arguments.number("ready_us", data_.bucket_ready[i]);
            arguments.number("start_us", data_.bucket_start[i]);
            lane.add(0, text("bucket ", bucket), "allreduce", start, end, arguments);
            lane.add(1, "wait", "allreduce", start, transfer, {});
            lane.add(1, "transfer", "allreduce", transfer, end, {});
        }
    }

private:
    [[nodiscard]] JsonMembers layer_arguments(std::uint64_t cell) const {
        JsonMembers arguments;
        arguments.number("flops", data_.flops[cell]).number("bytes", data_.bytes[cell]);
        for (std::uint64_t op = 0; op < data_.ops; ++op) {
            if (data_.op_layer[op] == static_cast<std::int32_t>(cell / phases.size())) {
                arguments.number(
                    data_.op[op] + "_us",
                    data_.op_time[(at_ * data_.ops + op) * phases.size() + cell % phases.size()]);
            }
        }
        return arguments;
    }

    const WindowData& data_;
    std::uint64_t row_;
    std::uint64_t at_;
    std::int64_t start_ns_;
};

/// Loss and rate, when the last rank has ended the iteration.
void add_counters(TraceEvents& events, const WindowData& data, std::uint64_t row,
                  std::int64_t origin_ns, std::int64_t images) {
    std::int64_t end_ns = 0;
    float slowest_us = 0;
    for (std::uint64_t rank = 0; rank < data.ranks; ++rank) {
        const std::uint64_t at = row * data.ranks + rank;
        end_ns =
            std::max(end_ns, data.start_ns[at] - origin_ns + nanoseconds(data.iteration_time[at]));
        slowest_us = std::max(slowest_us, data.iteration_time[at]);
    }
    events.counter(0, "loss", end_ns, data.loss[row]);
    events.counter(0, "images/s", end_ns, static_cast<double>(images) / (slowest_us * 1e-6));
}

/// What stands before and after the events. Holistic Trace Analysis asks for `distributedInfo`.
std::string preamble(const hdf5::File& file, const WindowData& data) {
    const auto fact = [&](const char* name) { return file.text_attribute("/", name).value_or(""); };
    const JsonMembers distributed = std::move(
        JsonMembers().number("rank", 0.0).number("world_size", static_cast<double>(data.ranks)));
    const JsonMembers other = std::move(JsonMembers()
                                            .text("run", fact("title"))
                                            .text("run_id", fact("run_id"))
                                            .text("date_created", fact("date_created"))
                                            .text("creator", fact("creator")));
    return text(R"({"schemaVersion":1,"displayTimeUnit":"ns","distributedInfo":)",
                distributed.object(), R"(,"otherData":)", other.object(), R"(,"traceEvents":[)");
}

ExportedFile write_trace(const hdf5::File& file, const WindowData& data, const std::string& path) {
    const std::int64_t origin_ns = *std::ranges::min_element(data.start_ns);
    const std::int64_t images = file.integer_attribute("/", "per_rank_batch").value_or(0) *
                                static_cast<std::int64_t>(data.ranks);
    GzipFile out(path);
    TraceEvents events;
    out.write(preamble(file, data));
    name_lanes(events, data);
    for (std::uint64_t rank = 0; rank < data.ranks; ++rank) {
        const auto process = static_cast<std::int64_t>(rank);
        TraceLane iterations(events, process, iterations_lane);
        TraceLane compute(events, process, compute_lane);
        TraceLane communication(events, process, communication_lane);
        TraceLane copies(events, process, copies_lane);
        for (std::uint64_t row = 0; row < data.rows; ++row) {
            const IterationTrace trace(data, row, rank, origin_ns);
            trace.add_iteration(iterations);
            trace.add_layers(compute);
            trace.add_buckets(communication);
            trace.add_copies(copies);
            out.write(events.str());
            events.clear();
        }
    }
    for (std::uint64_t row = 0; row < data.rows; ++row) {
        add_counters(events, data, row, origin_ns, images);
    }
    out.write(events.str());
    out.write("\n]}\n");
    out.commit();
    return {path, events.count()};
}

}  // namespace

ExportedFile export_trace(const std::string& run_file, const std::string& path,
                          const std::optional<TraceWindow>& window) {
    const hdf5::File file = open_run_file(run_file);
    try {
        WindowData data;
        read_description(file, data);
        const auto committed = static_cast<std::uint64_t>(std::max<std::int64_t>(
            0, file.integer_attribute("/", "committed_iterations").value_or(0)));
        LL_VALIDATE(
            committed > 0, ExitCode::bad_data,
            text("'", run_file, "' has no iterations yet (its run is ",
                 file.text_attribute("/", "status").value_or("?"), ") a trace needs at least one"));
        read_times(file,
                   window ? wanted_window(file, data, *window, committed)
                          : default_window(file, data, committed),
                   data);
        return write_trace(file, data, path);
    } catch (const std::exception& error) {
        throw damaged(run_file, error);
    }
}

}  // namespace layerledger
