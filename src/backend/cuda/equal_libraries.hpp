// Ranks whose libraries differ may choose different algorithms, and NCCL may never connect them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "layerledger/comm/communicator.hpp"

namespace layerledger::cuda {

/// `libraries`: this rank's, names and versions. Collective. Throws AgreedError{unavailable} that
/// names the first rank whose versions are not rank 0's, and which.
void require_equal_libraries(const Communicator& world, const std::string& host,
                             const std::vector<std::pair<std::string, std::string>>& libraries);

}  // namespace layerledger::cuda
