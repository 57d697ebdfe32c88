// Which of the classes that are there data.classes chooses.
#pragma once

#include <string>
#include <vector>

namespace layerledger {

/// `found` is sorted. All where `wanted` is empty, the first N where it is a single number, else
/// those that it names, sorted. Throws Error{configuration} for a name that is not there or there
/// twice, and where less than two are chosen.
[[nodiscard]] std::vector<std::string> choose_classes(std::vector<std::string> found,
                                                      std::vector<std::string> wanted);

}  // namespace layerledger
