#include "event_table.hpp"

#include <algorithm>
#include <array>
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

template <class Event>
std::string path_of(std::string_view group, const Column<Event>& column) {
    return text("/", group, "/", column.name);
}

template <class Event>
hdf5::Element element_of(const Column<Event>& column) {
    return std::visit([]<class Value>(Value Event::*) { return hdf5::element_of<Value>(); },
                      column.member);
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

template <class Event, std::size_t columns>
void write(hdf5::File& file, const Table<Event, columns>& table, const std::vector<Event>& events,
           std::size_t written) {
    if (!exists(file, table)) {
        return;
    }
    for (const Column<Event>& column : table.column) {
        const std::string path = path_of(table.group, column);
        if (file.extent(path).front() != events.size()) {
            file.set_rows(path, events.size());
        }
        if (written >= events.size()) {
            continue;
        }
        std::visit(
            [&](auto member) {
                using Value = std::remove_cvref_t<decltype(events.front().*member)>;
                std::vector<Value> values;
                for (std::size_t i = written; i < events.size(); ++i) {
                    values.push_back(events[i].*member);
                }
                file.write<Value>(path, values, hdf5::Slab{{written}, {values.size()}});
            },
            column.member);
    }
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
    const std::string kind = path_of(pauses.group, pauses.column[1]);
    constexpr std::array<std::int64_t, pause_kind_names.size()> values{0, 1};
    file.set_attribute<std::int64_t>(kind, "flag_values", values);
    std::string meanings;
    for (const std::string_view name : pause_kind_names) {
        meanings += text(meanings.empty() ? "" : " ", name);
    }
    file.set_attribute(kind, "flag_meanings", meanings);
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

std::vector<ValidationRecord> read_validations(const hdf5::File& file) {
    return read(file, validations);
}

std::vector<PauseRecord> read_pauses(const hdf5::File& file) {
    return read(file, pauses);
}

std::vector<StartRecord> read_starts(const hdf5::File& file) {
    return read(file, starts);
}

std::vector<ClockRecord> read_clocks(const hdf5::File& file) {
    return read(file, clocks);
}

std::vector<std::string> check_event_tables(const hdf5::File& file, bool is_running) {
    std::vector<std::string> faults;
    check(file, validations, is_running, faults);
    check(file, pauses, is_running, faults);
    check(file, starts, is_running, faults);
    check(file, clocks, is_running, faults);
    return faults;
}

}  // namespace layerledger
