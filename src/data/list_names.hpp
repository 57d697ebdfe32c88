// Under which names lists are looked for in the root of a data set, and go with it.
#pragma once

#include <array>

namespace layerledger {

/// Of the labels of validation images that lie flat in val/.
inline constexpr std::array label_lists{"LOC_val_solution.csv", "val_labels.txt", "val.txt",
                                        "imagenet_2012_validation_synset_labels.txt"};
/// Of names of the classes for people.
inline constexpr std::array name_lists{"LOC_synset_mapping.txt", "synset_words.txt"};

}  // namespace layerledger
