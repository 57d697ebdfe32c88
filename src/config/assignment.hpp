// What one source says about one setting, and how its complaints read.
#pragma once

#include <string>
#include <vector>

#include "layerledger/config/experiment.hpp"

namespace layerledger::config {

struct Assignment {
    std::string key;
    std::string value;
    std::string origin;  ///< as in SettingText
};

/// Error{configuration} for a name that is no setting. `suggestion` is the name that was probably
/// meant, or empty.
[[noreturn]] void refuse_unknown(const std::string& name, const std::string& origin,
                                 const std::string& suggestion);

/// Sets what the assignments say, in order, over the defaults. Throws Error{configuration} for an
/// unknown key or a value that the setting does not take.
[[nodiscard]] Experiment resolve(const std::vector<Assignment>& assignments);

}  // namespace layerledger::config
