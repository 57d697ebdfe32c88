// layerledger networks [NAME]
#pragma once

#include <string>
#include <vector>

#include "layerledger/base/error.hpp"

namespace layerledger {

/// Without a name, prints the architectures; with one, its layers with shapes, parameters, work and
/// traffic. Options, each also under its short name: --network.classes (--classes),
/// --network.image_size (--image-size), --network.normalization (--normalization),
/// --train.batch_size (--batch). Throws Error{usage} for stray words and unknown options,
/// Error{configuration} for values out of range and for networks that do not exist.
ExitCode run_networks_command(const std::vector<std::string>& arguments);

}  // namespace layerledger
