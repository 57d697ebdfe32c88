// The sections of a summary, each of which leaves out what its run has not.
#pragma once

#include "layerledger/record/run_reader.hpp"
#include "summary_table.hpp"

namespace layerledger {

/// What was run, how far it came and what came out.
void add_header(Table& table, const RunSummary& run);

[[nodiscard]] bool has_layer_times(const RunSummary& run);
void add_layers(Table& table, const RunSummary& run);
/// What is left to say of layers that were not timed.
void add_layer_memory(Table& table, const RunSummary& run);
/// Dashes tell what is missing of an account; where there is none, nothing is missing.
void add_activities(Table& table, const RunSummary& run);

/// Where the all-reduce of each bucket spent its time.
void add_anatomy(Table& table, const RunSummary& run);
/// Which rank makes the others wait, what makes it so, and whether the clocks vouch for that.
void add_ranks(Table& table, const RunSummary& run);

/// What the devices were seen to do inside the layers, in a few iterations.
void add_kernels(Table& table, const RunSummary& run);

}  // namespace layerledger
