// The run file as data: every array's name, element, dimensions, unit and meaning. The writer
// makes the file from these tables, and the check compares a file with them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "layerledger/hdf5/file.hpp"
#include "layerledger/record/iteration_record.hpp"
#include "layerledger/record/run_description.hpp"
#include "layerledger/record/run_writer.hpp"

namespace layerledger::schema {

/// A reader refuses another major number; minor numbers only add.
inline constexpr std::string_view version = "1.4.0";
/// The minor version that brought the table of starts and `missing_iterations`.
inline constexpr int minor_with_starts = 2;
inline constexpr std::string_view conventions = "layerledger-1.0";

/// In this order in the file.
enum class Dim : unsigned char { iteration, rank, layer, phase, activity, bucket, op };
inline constexpr std::array<std::string_view, 7> dim_names{"iteration", "rank",   "layer", "phase",
                                                           "activity",  "bucket", "op"};

constexpr std::size_t index(Dim dim) noexcept {
    return static_cast<std::size_t>(dim);
}
constexpr std::string_view name(Dim dim) noexcept {
    return dim_names[index(dim)];
}

inline constexpr std::array<std::string_view, 4> status_names{"running", "complete", "interrupted",
                                                              "failed"};
inline constexpr std::array<std::string_view, 5> level_names{"off", "iteration", "layer", "op",
                                                             "kernel"};

[[nodiscard]] constexpr std::string_view name(RunStatus status) noexcept {
    return status_names[static_cast<std::size_t>(status)];
}
[[nodiscard]] constexpr std::string_view name(Level level) noexcept {
    return level_names[static_cast<std::size_t>(level)];
}

/// Extents by dimension. A dimension of extent 0 is left out together with its arrays.
using DimExtents = std::array<std::uint64_t, dim_names.size()>;

struct Variable {
    std::string_view name;
    hdf5::Element element;
    std::vector<Dim> dims;
    std::string_view units;  ///< UDUNITS symbol; empty for texts
    std::string_view long_name;
    int since = 0;  ///< minor schema version that brought it

    [[nodiscard]] bool exists(const DimExtents& extents) const;
    [[nodiscard]] hdf5::Extent extent(const DimExtents& extents) const;
};

/// The values of a whole dataset.
using Values =
    std::variant<std::vector<std::string>, std::vector<std::int32_t>, std::vector<std::int64_t>,
                 std::vector<double>, std::vector<float>, std::vector<std::uint8_t>>;

/// Known before the first iteration. The scales of the dimensions are among them.
struct DescriptionVariable : Variable {
    Values (*values)(const RunDescription&);
};

/// One number per iteration, the same for all ranks or a mean over them.
struct IterationVariable : Variable {
    Values (*values)(const RecordBlock&, const RecordLayout&);
};

/// Part of every rank's row.
struct RecordVariable : Variable {
    std::size_t RecordLayout::*column;
};

[[nodiscard]] DimExtents extents_of(const RunDescription& description);

[[nodiscard]] const std::vector<DescriptionVariable>& description_variables();
[[nodiscard]] const std::vector<IterationVariable>& iteration_variables();
[[nodiscard]] const std::vector<RecordVariable>& record_variables();
/// When each iteration began on each rank; kept apart because it is no float.
[[nodiscard]] const Variable& iteration_start();

/// Makes the dataset of a variable with its attributes. The scale of a dimension is declared as
/// such; any other array is attached to the scales of its dimensions, which are there already.
void create(hdf5::File& file, const Variable& variable, const hdf5::Extent& extent,
            const hdf5::Extent& chunk = {});

/// Groups of facts about the run. A fact is a scalar dataset: a text, or a number with its unit.
inline constexpr std::array<std::string_view, 6> fact_groups{
    "provenance", "config", "network", "validation", "overhead", "wall_clock"};
/// Groups that only some runs have.
inline constexpr std::array<std::string_view, 3> optional_fact_groups{"staging", "twin",
                                                                      "causality"};

}  // namespace layerledger::schema
