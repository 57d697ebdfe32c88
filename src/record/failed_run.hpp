// What is left of a run that failed.
#pragma once

#include <string>

namespace layerledger {

/// A run that failed before its first commit leaves nothing, so that it can be begun again.
void remove_empty_run(const std::string& path);

}  // namespace layerledger
