// What a checkpoint knows of its training takes the place of what is not given.
#pragma once

#include <string>

#include "layerledger/config/experiment.hpp"
#include "layerledger/record/checkpoint_file.hpp"

namespace layerledger {

/// The settings of sections network, data and train that the checkpoint was trained with, each
/// unless `given` comes from somewhere else than its default; where the images are counts as one:
/// a folder or a packed file that is given replaces the whole of it.
/// Throws Error{configuration} where a given setting of the network contradicts, naming both, and
/// {bad_data} where the checkpoint's cannot be read. `path` is for messages.
[[nodiscard]] Experiment with_trained_settings(Experiment given, const Checkpoint& checkpoint,
                                               const std::string& path);

/// "network.classes (3 there, 10 here, from command line)": settings of the network that are given
/// and not as the checkpoint has them; empty where all are.
[[nodiscard]] std::string network_differences(const Experiment& experiment,
                                              const Checkpoint& checkpoint);

}  // namespace layerledger
