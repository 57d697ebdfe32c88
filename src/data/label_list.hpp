// Lists that come with a data set: the labels of validation images, and the readable names of
// classes.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

namespace layerledger {

/// The class of each validation image, from a list in one of four forms:
///   Kaggle's LOC_val_solution.csv: "ILSVRC2012_val_00000001,n01751748 111 108 411 219"
///   "ILSVRC2012_val_00000001.JPEG n01751748", also with a comma or a tab between
///   "ILSVRC2012_val_00000001.JPEG 65": the position of the class among all, counted from 0
///   "n01751748" alone: of the files in order of their names
/// `files` and `classes` (all of the data set, not the chosen) are sorted. The result is parallel
/// to `files`. Throws Error: input_missing where there is no such file, bad_data where it does not
/// match the images or the classes.
[[nodiscard]] std::vector<std::string> read_validation_labels(
    const std::string& list, const std::vector<std::string>& files,
    const std::vector<std::string>& classes);

/// "n01440764 tench, Tinca tinca" in each line. Throws Error{input_missing}.
[[nodiscard]] std::unordered_map<std::string, std::string> read_class_names(
    const std::string& file);

}  // namespace layerledger
