// Facts: scalar datasets in the groups of the run file, such as /config/train.batch_size (a text)
// or /overhead/percent (a number with its unit).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "layerledger/hdf5/file.hpp"
#include "layerledger/record/run_writer.hpp"

namespace layerledger {

/// Writes a text fact, over an older one of the same name.
void write_fact(hdf5::File& file, std::string_view group, std::string_view name,
                const std::string& value);
/// The text of a fact; empty where there is none.
[[nodiscard]] std::string read_fact(const hdf5::File& file, std::string_view group,
                                    std::string_view name);

/// All facts of a group as texts, oldest first; none where the file has no such group.
[[nodiscard]] std::vector<Fact> read_facts(const hdf5::File& file, std::string_view group);

void write_facts(hdf5::File& file, const OverheadRecord& overhead);
void write_facts(hdf5::File& file, const ValidationRecord& validation);
void write_facts(hdf5::File& file, const WallClockRecord& wall_clock);
void write_facts(hdf5::File& file, const TwinRecord& twin);
void write_facts(hdf5::File& file, const StagingRecord& staging);
void write_facts(hdf5::File& file, const CausalityRecord& causality);
/// Nothing where the run had none.
[[nodiscard]] std::optional<OverheadRecord> read_overhead(const hdf5::File& file);
[[nodiscard]] std::optional<ValidationRecord> read_validation(const hdf5::File& file);
[[nodiscard]] std::optional<TwinRecord> read_twin(const hdf5::File& file);
[[nodiscard]] std::optional<StagingRecord> read_staging(const hdf5::File& file);
[[nodiscard]] std::optional<CausalityRecord> read_causality(const hdf5::File& file);

/// What is wrong with the facts about staging, one sentence each; a run may have none of them.
[[nodiscard]] std::vector<std::string> staging_faults(const hdf5::File& file);

}  // namespace layerledger
