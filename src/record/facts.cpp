#include "facts.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "layerledger/base/csv.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

/// A number in a record and how it appears in the file.
template <class Record>
struct NumberFact {
    std::string_view name;
    std::string_view units;
    std::string_view long_name;
    std::variant<double Record::*, std::int64_t Record::*> member;
};

constexpr std::array<NumberFact<OverheadRecord>, 5> overhead_facts{{
    {"percent", "percent",
     "time that profiling adds to an iteration, median over pairs of neighbours",
     &OverheadRecord::percent},
    {"low", "percent", "lower end of its 95 % interval", &OverheadRecord::low},
    {"high", "percent", "upper end of its 95 % interval", &OverheadRecord::high},
    {"pairs", "1", "pairs of a profiled and an unprofiled iteration", &OverheadRecord::pairs},
    {"measurement_percent", "percent", "share of the activity measurement, contained in percent",
     &OverheadRecord::measurement_percent},
}};

constexpr std::array<NumberFact<ValidationRecord>, 6> validation_facts{{
    {"loss", "1", "mean loss", &ValidationRecord::loss},
    {"top1", "1", "share of images whose label came first", &ValidationRecord::top1},
    {"topk", "1", "share of images whose label was among the first k", &ValidationRecord::topk},
    {"images", "1", "images validated", &ValidationRecord::images},
    {"seconds", "s", "duration of the validation", &ValidationRecord::seconds},
    {"iteration", "1", "training iterations before the validation", &ValidationRecord::iteration},
}};

constexpr std::array<NumberFact<TwinRecord>, 8> twin_facts{{
    {"median_percent", "percent",
     "time that profiling adds to the median iteration of a run without it",
     &TwinRecord::median_percent},
    {"median_low", "percent", "lower end of its 95 % interval", &TwinRecord::median_low},
    {"median_high", "percent", "upper end of its 95 % interval", &TwinRecord::median_high},
    {"percent", "percent", "time that profiling adds to the mean iteration of a run without it",
     &TwinRecord::percent},
    {"profiled", "us", "mean iteration with profiling", &TwinRecord::profiled_us},
    {"unprofiled", "us", "mean iteration of the run without", &TwinRecord::unprofiled_us},
    {"profiled_training", "s", "all iterations with profiling", &TwinRecord::profiled_seconds},
    {"unprofiled_training", "s", "all iterations of the run without",
     &TwinRecord::unprofiled_seconds},
}};

constexpr std::array<NumberFact<WallClockRecord>, 3> wall_clock_facts{{
    {"windows", "us", "sum of rank 0's iteration times", &WallClockRecord::windows_us},
    {"elapsed", "us", "first iteration's start to last one's end on another clock",
     &WallClockRecord::elapsed_us},
    {"paused", "us", "part of elapsed that is in no iteration", &WallClockRecord::paused_us},
}};

constexpr std::array<NumberFact<StagingRecord>, 7> staging_facts{{
    {"seconds", "s", "time that staging took before training, on the slowest node",
     &StagingRecord::seconds},
    {"files", "1", "files transferred, to the node that got most", &StagingRecord::files},
    {"bytes", "byte", "bytes of the files transferred, to the node that got most",
     &StagingRecord::bytes},
    {"set_files", "1", "files in the set on each node", &StagingRecord::set_files},
    {"set_bytes", "byte", "bytes in the set on each node", &StagingRecord::set_bytes},
    {"nodes", "1", "nodes with a set", &StagingRecord::nodes},
    {"skipped_nodes", "1", "nodes that were up to date", &StagingRecord::skipped_nodes},
}};

constexpr std::array<NumberFact<CausalityRecord>, 8> causality_facts{{
    {"checked", "1", "all-reduces looked at: buckets of all iterations between two clock readings",
     &CausalityRecord::checked},
    {"within_bounds", "1",
     "all-reduces that a rank seems to leave before the last one enters, no more than clocks err",
     &CausalityRecord::within_bounds},
    {"violations", "1",
     "all-reduces that a rank leaves before the last one enters, by more than clocks may err",
     &CausalityRecord::violations},
    {"worst", "us", "largest time of a violation beyond what clocks may err",
     &CausalityRecord::worst_us},
    {"worst_iteration", "1", "its iteration, or -1", &CausalityRecord::worst_iteration},
    {"worst_bucket", "1", "its bucket, or -1", &CausalityRecord::worst_bucket},
    {"worst_rank", "1", "the rank that left, or -1", &CausalityRecord::worst_rank},
    {"widest_bound", "us", "by how much a rank's clock may err at most",
     &CausalityRecord::widest_bound_us},
}};

/// As few digits as read back; empty where there is no value.
std::string shortest(double value) {
    return std::isnan(value) ? std::string() : CsvText().number(value).str();
}

std::string path_of(std::string_view group, std::string_view name) {
    std::string leaf(name);
    std::ranges::replace(leaf, '/', '_');
    return text('/', group, '/', leaf);
}

template <class Record, std::size_t count>
void write_all(hdf5::File& file, std::string_view group,
               const std::array<NumberFact<Record>, count>& facts, const Record& record) {
    if (const std::string all = text('/', group); !file.contains(all)) {
        file.create_group(all);
    }
    for (const NumberFact<Record>& fact : facts) {
        const std::string path = path_of(group, fact.name);
        std::visit(
            [&](auto member) {
                const auto value = record.*member;
                using Number = std::remove_const_t<decltype(value)>;
                if (!file.contains(path)) {
                    file.create_dataset(path, hdf5::element_of<Number>(), {});
                    file.set_attribute(path, "units", fact.units);
                    file.set_attribute(path, "long_name", fact.long_name);
                }
                file.write<Number>(path, std::span(&value, 1));
            },
            fact.member);
    }
}

/// Nothing where the first fact is missing; what a later version added is absent in older files.
template <class Record, std::size_t count>
std::optional<Record> read_all(const hdf5::File& file, std::string_view group,
                               const std::array<NumberFact<Record>, count>& facts) {
    Record record;
    if (!file.contains(text('/', group)) || !file.contains(path_of(group, facts.front().name))) {
        return {};
    }
    for (const NumberFact<Record>& fact : facts) {
        const std::string path = path_of(group, fact.name);
        if (!file.contains(path)) {
            continue;
        }
        std::visit(
            [&](auto member) {
                using Number = std::remove_reference_t<decltype(record.*member)>;
                record.*member = file.read<Number>(path).at(0);
            },
            fact.member);
    }
    return record;
}

}  // namespace

void write_fact(hdf5::File& file, std::string_view group, std::string_view name,
                const std::string& value) {
    const std::string path = path_of(group, name);
    if (!file.contains(path)) {
        file.create_dataset(path, hdf5::Element::text, {});
    }
    file.write<std::string>(path, std::span(&value, 1));
}

std::string read_fact(const hdf5::File& file, std::string_view group, std::string_view name) {
    const std::string path = path_of(group, name);
    return file.contains(text('/', group)) && file.contains(path)
               ? file.read<std::string>(path).at(0)
               : std::string();
}

std::vector<Fact> read_facts(const hdf5::File& file, std::string_view group) {
    std::vector<Fact> facts;
    const std::string all = text('/', group);
    if (!file.contains(all)) {
        return facts;
    }
    for (const std::string& name : file.datasets(all)) {
        const std::string path = text(all, '/', name);
        if (!file.extent(path).empty()) {
            continue;  // a fact is a scalar; what has an extent is a table
        }
        switch (file.element(path)) {
            case hdf5::Element::text:
                facts.emplace_back(name, file.read<std::string>(path).at(0));
                break;
            case hdf5::Element::int64:
                facts.emplace_back(name, text(file.read<std::int64_t>(path).at(0)));
                break;
            case hdf5::Element::float64: {
                const double value = file.read<double>(path).at(0);
                const bool diverged = name == "loss" && std::isnan(value);
                facts.emplace_back(name, diverged ? "NaN" : shortest(value));
                break;
            }
            default: break;  // no fact
        }
    }
    return facts;
}

void write_facts(hdf5::File& file, const OverheadRecord& overhead) {
    write_all(file, "overhead", overhead_facts, overhead);
}

void write_facts(hdf5::File& file, const ValidationRecord& validation) {
    write_all(file, "validation", validation_facts, validation);
}

void write_facts(hdf5::File& file, const WallClockRecord& wall_clock) {
    write_all(file, "wall_clock", wall_clock_facts, wall_clock);
}

void write_facts(hdf5::File& file, const TwinRecord& twin) {
    write_all(file, "twin", twin_facts, twin);
}

std::optional<TwinRecord> read_twin(const hdf5::File& file) {
    return read_all(file, "twin", twin_facts);
}

void write_facts(hdf5::File& file, const StagingRecord& staging) {
    write_all(file, "staging", staging_facts, staging);
}

void write_facts(hdf5::File& file, const CausalityRecord& causality) {
    write_all(file, "causality", causality_facts, causality);
}

std::optional<CausalityRecord> read_causality(const hdf5::File& file) {
    return read_all(file, "causality", causality_facts);
}

std::optional<OverheadRecord> read_overhead(const hdf5::File& file) {
    return read_all(file, "overhead", overhead_facts);
}

std::optional<ValidationRecord> read_validation(const hdf5::File& file) {
    return read_all(file, "validation", validation_facts);
}

std::optional<StagingRecord> read_staging(const hdf5::File& file) {
    return read_all(file, "staging", staging_facts);
}

std::vector<std::string> staging_faults(const hdf5::File& file) {
    std::vector<std::string> faults;
    if (!file.contains("/staging")) {
        return faults;
    }
    for (const NumberFact<StagingRecord>& fact : staging_facts) {
        const std::string path = path_of("staging", fact.name);
        const bool is_whole_number = fact.member.index() == 1;
        const hdf5::Element wanted =
            is_whole_number ? hdf5::Element::int64 : hdf5::Element::float64;
        if (!file.contains(path)) {
            faults.push_back(text(path, " is missing"));
        } else if (file.element(path) != wanted || !file.extent(path).empty()) {
            faults.push_back(text(path, " is no ", is_whole_number ? "integer" : "number"));
        } else if (file.text_attribute(path, "units") != fact.units) {
            faults.push_back(text(path, " has not the units '", fact.units, "'"));
        } else if (is_whole_number ? file.read<std::int64_t>(path).at(0) < 0
                                   : !(file.read<double>(path).at(0) >= 0)) {
            faults.push_back(text(path, " is negative"));
        }
    }
    return faults;
}

}  // namespace layerledger
