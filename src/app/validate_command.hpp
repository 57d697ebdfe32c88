// `layerledger validate`: how well a checkpoint does on the validation images.
#pragma once

#include <string>
#include <vector>

#include "layerledger/base/error.hpp"

namespace layerledger {

/// On any number of ranks, whatever the number that trained. `arguments` follow the word
/// "validate".
[[nodiscard]] ExitCode run_validate_command(int& argc, char**& argv,
                                            const std::vector<std::string>& arguments);

}  // namespace layerledger
