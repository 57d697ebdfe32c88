// One row about each run: what is known, what it took, what is missing in its account.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "layerledger/hdf5/file.hpp"
#include "layerledger/base/csv.hpp"
#include "layerledger/record/run_reader.hpp"
#include "milestones.hpp"

namespace layerledger {

/// A fact of the file and the column that it goes to: config.train.batch_size.
struct ExperimentFact {
    std::string column;
    std::string value;
};

/// Facts of all groups, in the file's order.
[[nodiscard]] std::vector<ExperimentFact> experiment_facts(const hdf5::File& file);

struct ExperimentRow {
    std::string run;
    std::string run_id;
    std::string date_created;
    RunSummary summary;
    Milestones milestones;
    std::vector<ExperimentFact> facts;
};

/// Header and rows. Runs with other facts than the others have empty fields.
[[nodiscard]] CsvText experiment_table(std::span<const ExperimentRow> rows);

}  // namespace layerledger
