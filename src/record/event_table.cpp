#include "event_table.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

constexpr std::uint64_t rows_per_chunk = 64;

template <class Event>
struct Column {
    std::string_view name;
    std::string_view units;  ///< empty for texts
    std::string_view long_name;
    std::variant<double Event::*, std::int64_t Event::*, std::string Event::*> member;
};

/// The first column is the scale of the others.
template <class Event, std::size_t columns>
struct Table {
    std::string_view group;
    std::array<Column<Event>, columns> column;
    bool is_rising = true;  ///< whether the iterations of its rows never fall
};

constexpr Table<ValidationRecord, 6> validations{
    "validation",
    {{
        {"validated_iteration", "1", "training iterations before each validation",
         &ValidationRecord::iteration},
        {"validated_loss", "1", "mean loss", &ValidationRecord::loss},
        {"validated_top1", "1", "share of images whose label came first", &ValidationRecord::top1},
        {"validated_topk", "1", "share of images whose label was among the first k",
         &ValidationRecord::topk},
        {"validated_images", "1", "images validated", &ValidationRecord::images},
        {"validated_seconds", "s", "duration of the validation", &ValidationRecord::seconds},
    }}};

constexpr Table<PauseRecord, 3> pauses{
    "pauses",
    {{
        {"paused_iteration", "1", "training iterations before each pause", &PauseRecord::iteration},
        {"paused_kind", "1", "what training waited for", &PauseRecord::kind},
        {"paused_seconds", "s", "duration of the pause, which is in no iteration",
         &PauseRecord::seconds},
    }}};

/// A start may go back to an older checkpoint.
constexpr Table<StartRecord, 7> starts{
    "starts",
    {{
        {"started_iteration", "1", "training iterations before each start",
         &StartRecord::iteration},
        {"started_date", "", "when, ISO 8601, UTC", &StartRecord::date},
        {"started_ranks", "1", "ranks", &StartRecord::ranks},
        {"started_cmdline", "", "the command line", &StartRecord::command_line},
        {"started_hostlist", "", "each rank's host, separated by blanks", &StartRecord::hosts},
        {"started_versions", "", "NAME=value lines of the program and its libraries",
         &StartRecord::versions},
        {"started_checkpoint", "", "checkpoint that it went on from, empty where training began",
         &StartRecord::checkpoint},
    }},
    /*is_rising=*/false};

constexpr Table<ClockRecord, 6> clocks{
    "clocks",
    {{
        {"clock_iteration", "1", "training iterations before each reading of a rank's clock",
         &ClockRecord::iteration},
        {"clock_rank", "1", "the rank", &ClockRecord::rank},
        {"clock_time", "ns", "rank 0's steady clock at the reading", &ClockRecord::time_ns},
        {"clock_offset", "ns", "the rank's clock minus rank 0's", &ClockRecord::offset_ns},
        {"clock_bound", "ns", "largest error of clock_offset", &ClockRecord::bound_ns},
        {"clock_drift", "1", "growth of clock_offset since the reading before, as a share of time",
         &ClockRecord::drift},
    }}};

constexpr Table<LateIteration, 6> late{
    "late",
    {{
        {"late_iteration", "1", "iteration", &LateIteration::iteration},
        {"late_rank", "1", "rank that came last to the last all-reduce", &LateIteration::rank},
        {"late_by", "us", "how long after the median of the other ranks", &LateIteration::late_us},
        {"late_layer", "1", "layer that took most more than on the others, or -1",
         &LateIteration::layer},
        {"late_phase", "1", "phase of that layer, or -1", &LateIteration::phase},
        {"late_cause", "1", "what took most more than on the others", &LateIteration::cause},
    }}};

constexpr Table<BucketAnatomy, 8> anatomy{
    "anatomy",
    {{
        {"anatomy_bucket", "1", "the bucket", &BucketAnatomy::iteration},
        {"anatomy_hidden", "us", "all-reduce under the backward pass, mean over ranks",
         &BucketAnatomy::hidden_us},
        {"anatomy_exposed", "us", "all-reduce after the backward pass, mean over ranks",
         &BucketAnatomy::exposed_us},
        {"anatomy_wait", "us", "from a rank's arrival to the last one's, mean over ranks",
         &BucketAnatomy::wait_us},
        {"anatomy_transfer", "us", "from the last arrival to the sum, mean over ranks",
         &BucketAnatomy::transfer_us},
        {"anatomy_algorithm_bandwidth", "GB/s", "bytes of the bucket over its transfer",
         &BucketAnatomy::algorithm_bandwidth},
        {"anatomy_bus_bandwidth", "GB/s", "the same times 2 (ranks - 1) / ranks",
         &BucketAnatomy::bus_bandwidth},
        {"anatomy_zero_skew", "us", "transfer of as many bytes with all ranks there at once",
         &BucketAnatomy::zero_skew_us},
    }}};

/// The dearest first.
constexpr Table<Straggler, 10> stragglers{
    "stragglers",
    {{
        {"straggler_iteration", "1", "first iteration of the first window in which it was slow",
         &Straggler::iteration},
        {"straggler_rank", "1", "the rank", &Straggler::rank},
        {"straggler_layer", "1", "the layer that is slow there, or -1", &Straggler::layer},
        {"straggler_phase", "1", "phase of that layer, or -1", &Straggler::phase},
        {"straggler_cause", "1", "what is slow there", &Straggler::cause},
        {"straggler_percent", "percent", "above the median of the other ranks",
         &Straggler::percent},
        {"straggler_excess", "us", "the same as a time, per iteration", &Straggler::excess_us},
        {"straggler_windows", "1", "windows of 20 iterations in which it was slow",
         &Straggler::windows},
        {"straggler_all_windows", "1", "windows that were looked at", &Straggler::all_windows},
        {"straggler_persistence", "1", "how these windows lie among all", &Straggler::persistence},
    }},
    /*is_rising=*/false};

/// A row for each phase of each layer.
constexpr Table<Sensitivity, 3> sensitivity{
    "sensitivity",
    {{
        {"sensitivity_layer", "1", "the layer", &Sensitivity::iteration},
        {"sensitivity_phase", "1", "its phase", &Sensitivity::phase},
        {"sensitivity_percent", "percent",
         "excess on one rank from which on the median window names it", &Sensitivity::percent},
    }}};

/// A row for each layer's phase in each iteration whose kernels were seen.
constexpr Table<KernelRecord, 11> kernels{
    "kernels",
    {{
        {"kernel_iteration", "1", "iteration", &KernelRecord::iteration},
        {"kernel_rank", "1", "the rank", &KernelRecord::rank},
        {"kernel_layer", "1", "the layer", &KernelRecord::layer},
        {"kernel_phase", "1", "its phase", &KernelRecord::phase},
        {"kernel_count", "1", "kernels of the layer in the phase", &KernelRecord::kernels},
        {"kernel_marked", "us", "the layer's time by the marks that all times come from",
         &KernelRecord::marked_us},
        {"kernel_seen", "us", "the same by CUPTI's records, to the end of its last kernel",
         &KernelRecord::seen_us},
        {"kernel_error", "us", "the first minus the second", &KernelRecord::error_us},
        {"kernel_busy", "us", "part of kernel_marked in which some work of a layer ran",
         &KernelRecord::busy_us},
        {"kernel_idle", "us", "the rest of kernel_marked", &KernelRecord::idle_us},
        {"kernel_beside", "us",
         "part of kernel_marked in which all-reduce or copies from or to the host ran",
         &KernelRecord::beside_us},
    }}};

constexpr Table<CopyRecord, 7> copies{
    "copies",
    {{
        {"copy_iteration", "1", "iteration", &CopyRecord::iteration},
        {"copy_rank", "1", "the rank", &CopyRecord::rank},
        {"copy_kind", "1", "from where to where", &CopyRecord::kind},
        {"copy_count", "1", "copies of this kind", &CopyRecord::count},
        {"copy_bytes", "byte", "bytes in all of them", &CopyRecord::bytes},
        {"copy_time", "us", "time in which at least one was under way", &CopyRecord::time_us},
        {"copy_hidden", "us", "part of copy_time under layers' kernels", &CopyRecord::hidden_us},
    }}};

constexpr Table<SampleRecord, 7> samples{
    "samples",
    {{
        {"sample_iteration", "1", "iteration whose kernels were seen", &SampleRecord::iteration},
        {"sample_rank", "1", "the rank", &SampleRecord::rank},
        {"sample_kernels", "1", "kernels in the iteration", &SampleRecord::kernels},
        {"sample_dropped", "1", "records that CUPTI lost: then the rest is NaN or absent",
         &SampleRecord::dropped},
        {"sample_time", "us", "duration of the iteration, which is longer than others",
         &SampleRecord::iteration_us},
        {"sample_busy", "us", "part of sample_time in which anything ran", &SampleRecord::busy_us},
        {"sample_mismatch", "us", "largest difference between CUPTI's clock and the marks'",
         &SampleRecord::mismatch_us},
    }}};

template <class Event>
std::string path_of(std::string_view group, const Column<Event>& column) {
    return text("/", group, "/", column.name);
}

template <class Event>
hdf5::Element element_of(const Column<Event>& column) {
    return std::visit([]<class Value>(Value Event::*) { return hdf5::element_of<Value>(); },
                      column.member);
}

/// What the numbers of a column mean, from 0; blanks inside a name become underscores.
void set_flags(hdf5::File& file, const std::string& path, std::span<const std::string_view> names) {
    std::vector<std::int64_t> values;
    std::string meanings;
    for (const std::string_view name : names) {
        std::string word(name);
        std::ranges::replace(word, ' ', '_');
        meanings += text(values.empty() ? "" : " ", word);
        values.push_back(std::ssize(values));
    }
    file.set_attribute<std::int64_t>(path, "flag_values", values);
    file.set_attribute(path, "flag_meanings", meanings);
}

template <class Event, std::size_t columns>
bool exists(const hdf5::File& file, const Table<Event, columns>& table) {
    return file.contains(std::string(table.group)) &&
           file.contains(path_of(table.group, table.column[0]));
}

template <class Event, std::size_t columns>
void create(hdf5::File& file, const Table<Event, columns>& table) {
    if (const std::string group(table.group); !file.contains(group)) {
        file.create_group(group);
    }
    const std::string scale = path_of(table.group, table.column[0]);
    for (const Column<Event>& column : table.column) {
        const std::string path = path_of(table.group, column);
        file.create_dataset(path, element_of(column), {0}, {rows_per_chunk});
        if (!column.units.empty()) {
            file.set_attribute(path, "units", column.units);
        }
        file.set_attribute(path, "long_name", column.long_name);
        if (path == scale) {
            file.make_scale(path);
        } else {
            file.attach_scale(path, 0, scale);
        }
    }
}

/// Makes `events` the rows from `first` on, and the last ones.
template <class Event, std::size_t columns>
void write(hdf5::File& file, const Table<Event, columns>& table, std::span<const Event> events,
           std::size_t first) {
    for (const Column<Event>& column : table.column) {
        const std::string path = path_of(table.group, column);
        if (file.extent(path).front() != first + events.size()) {
            file.set_rows(path, first + events.size());
        }
        if (events.empty()) {
            continue;
        }
        std::visit(
            [&](auto member) {
                using Value = std::remove_cvref_t<decltype(events.front().*member)>;
                std::vector<Value> values;
                for (const Event& event : events) {
                    values.push_back(event.*member);
                }
                file.write<Value>(path, values, hdf5::Slab{{first}, {values.size()}});
            },
            column.member);
    }
}

template <class Event, std::size_t columns>
void write(hdf5::File& file, const Table<Event, columns>& table, const std::vector<Event>& events,
           std::size_t written) {
    const std::size_t first = std::min(written, events.size());
    write(file, table, std::span(events).subspan(first), first);
}

template <class Event, std::size_t columns>
std::vector<Event> read(const hdf5::File& file, const Table<Event, columns>& table) {
    if (!exists(file, table)) {
        return {};
    }
    std::uint64_t rows = file.extent(path_of(table.group, table.column[0])).front();
    for (const Column<Event>& column : table.column) {
        rows = std::min<std::uint64_t>(rows, file.extent(path_of(table.group, column)).front());
    }
    std::vector<Event> events(rows);
    for (const Column<Event>& column : table.column) {
        std::visit(
            [&](auto member) {
                using Value = std::remove_cvref_t<decltype(events.front().*member)>;
                auto values =
                    file.read<Value>(path_of(table.group, column), hdf5::Slab{{0}, {rows}});
                for (std::size_t i = 0; i < rows; ++i) {
                    events[i].*member = std::move(values[i]);
                }
            },
            column.member);
    }
    return events;
}

template <class Event, std::size_t columns>
void check(const hdf5::File& file, const Table<Event, columns>& table, bool is_running,
           std::vector<std::string>& faults) {
    if (!exists(file, table)) {
        return;  // written before there were such tables
    }
    const std::string_view scale = table.column[0].name;
    const std::uint64_t rows = file.extent(path_of(table.group, table.column[0])).front();
    for (const Column<Event>& column : table.column) {
        const std::string path = path_of(table.group, column);
        if (!file.contains(path)) {
            faults.push_back(text(path, " is missing"));
        } else if (file.element(path) != element_of(column)) {
            faults.push_back(text(path, " has another element type than the schema"));
        } else if (!is_running && file.extent(path).front() != rows) {
            faults.push_back(
                text(path, " has ", file.extent(path).front(), " rows, its scale ", rows));
        } else if (column.name != scale && file.scale_of(path, 0) != scale) {
            faults.push_back(text(path, " is not attached to the scale ", scale));
        }
    }
    if (!faults.empty()) {
        return;
    }
    if (!table.is_rising) {
        return;
    }
    const std::vector<Event> events = read(file, table);
    const auto fall = std::ranges::adjacent_find(events, std::greater<>(), &Event::iteration);
    if (fall != events.end()) {
        faults.push_back(text(scale, " falls after row ", fall - events.begin()));
    }
}

}  // namespace

void create_event_tables(hdf5::File& file) {
    create(file, validations);
    create(file, pauses);
    create(file, starts);
    create(file, clocks);
    create(file, late);
    create(file, stragglers);
    create(file, sensitivity);
    create(file, anatomy);
    create(file, samples);
    create(file, kernels);
    create(file, copies);
    set_flags(file, path_of(copies.group, copies.column[2]), copy_kind_names);
    set_flags(file, path_of(pauses.group, pauses.column[1]), pause_kind_names);
    set_flags(file, path_of(late.group, late.column[5]), late_cause_names);
    set_flags(file, path_of(stragglers.group, stragglers.column[4]), late_cause_names);
    set_flags(file, path_of(stragglers.group, stragglers.column[9]), persistence_names);
}

void write_events(hdf5::File& file, const std::vector<ValidationRecord>& events,
                  std::size_t written) {
    write(file, validations, events, written);
}

void write_events(hdf5::File& file, const std::vector<PauseRecord>& events, std::size_t written) {
    write(file, pauses, events, written);
}

void write_events(hdf5::File& file, const std::vector<StartRecord>& events, std::size_t written) {
    write(file, starts, events, written);
}

void write_events(hdf5::File& file, const std::vector<ClockRecord>& events, std::size_t written) {
    write(file, clocks, events, written);
}

void write_events(hdf5::File& file, const std::vector<LateIteration>& events, std::size_t written) {
    write(file, late, events, written);
}

void write_events(hdf5::File& file, const std::vector<Straggler>& events, std::size_t written) {
    write(file, stragglers, events, written);
}

void write_events(hdf5::File& file, const std::vector<Sensitivity>& events, std::size_t written) {
    write(file, sensitivity, events, written);
}

void write_events(hdf5::File& file, const std::vector<BucketAnatomy>& events, std::size_t written) {
    write(file, anatomy, events, written);
}

void write_kernels(hdf5::File& file, const KernelSamples& fresh, const KernelRows& before) {
    write(file, samples, std::span(fresh.samples), before.samples);
    write(file, kernels, std::span(fresh.kernels), before.kernels);
    write(file, copies, std::span(fresh.copies), before.copies);
}

std::vector<ValidationRecord> read_validations(const hdf5::File& file) {
    return read(file, validations);
}

std::vector<PauseRecord> read_pauses(const hdf5::File& file) {
    return read(file, pauses);
}

std::vector<StartRecord> read_starts(const hdf5::File& file) {
    return read(file, starts);
}

KernelSamples read_kernel_samples(const hdf5::File& file) {
    return {read(file, kernels), read(file, copies), read(file, samples)};
}

std::vector<ClockRecord> read_clocks(const hdf5::File& file) {
    return read(file, clocks);
}

std::vector<LateIteration> read_late(const hdf5::File& file) {
    return read(file, late);
}

std::vector<Straggler> read_stragglers(const hdf5::File& file) {
    return read(file, stragglers);
}

std::vector<Sensitivity> read_sensitivity(const hdf5::File& file) {
    return read(file, sensitivity);
}

std::vector<BucketAnatomy> read_anatomy(const hdf5::File& file) {
    return read(file, anatomy);
}

std::vector<std::string> check_event_tables(const hdf5::File& file, bool is_running) {
    std::vector<std::string> faults;
    check(file, validations, is_running, faults);
    check(file, pauses, is_running, faults);
    check(file, starts, is_running, faults);
    check(file, clocks, is_running, faults);
    check(file, kernels, is_running, faults);
    check(file, copies, is_running, faults);
    check(file, samples, is_running, faults);
    check(file, late, is_running, faults);
    check(file, stragglers, is_running, faults);
    check(file, sensitivity, is_running, faults);
    check(file, anatomy, is_running, faults);
    return faults;
}

}  // namespace layerledger
