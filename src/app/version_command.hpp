// layerledger version
#pragma once

#include <string>

namespace layerledger {

/// Versions of layerledger, its source, its build and its libraries, one a line.
[[nodiscard]] std::string version_text();

}  // namespace layerledger
