// What profile.inject asks for, as the trainer wants it.
#pragma once

#include <optional>

#include "layerledger/config/experiment.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/network/network.hpp"
#include "layerledger/train/trainer.hpp"

namespace layerledger {

/// What is injected on rank `rank` of `ranks`; nothing where it is another's or nothing is asked
/// for. Throws Error{configuration} where there is no such rank, layer, percentage or phase, and
/// Error{unavailable} where the host's waiting would not slow the device.
[[nodiscard]] std::optional<Injection> injection_on(int rank, int ranks,
                                                    const Experiment& experiment,
                                                    const Network& network,
                                                    const DeviceInfo& device);

}  // namespace layerledger
