// What differs between the settings of a training that is on record and those of one to be done.
#pragma once

#include <span>
#include <string>

#include "layerledger/config/experiment.hpp"
#include "layerledger/record/run_description.hpp"

namespace layerledger {

/// "train.learning_rate (0.1 there, 0.01 here)": of the settings that both have, those that differ
/// and may not.
[[nodiscard]] std::string setting_differences(std::span<const Fact> there, const Experiment& here,
                                              bool (*may_differ)(const std::string& key));

}  // namespace layerledger
