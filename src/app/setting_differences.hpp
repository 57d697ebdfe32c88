// What differs between the settings of a training that is on record and those of one to be done.
#pragma once

#include <span>
#include <string>

#include "layerledger/config/experiment.hpp"
#include "layerledger/record/run_description.hpp"

namespace layerledger {

/// What the two trainings are to each other.
enum class Trainings : unsigned char {
    resumed,  ///< one goes on with the other: it may be timed and stored in another way
    repeated  ///< one repeats the other, whose times it is compared with
};

/// "train.learning_rate (0.1 there, 0.01 here)": of the settings that both have, those that differ
/// and do more than say where results go, where data comes from or how long to wait. For one that
/// is resumed, its checkpoint says the rest.
[[nodiscard]] std::string setting_differences(std::span<const Fact> there, const Experiment& here,
                                              Trainings trainings);

}  // namespace layerledger
