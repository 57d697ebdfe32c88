// Lists that come with a data set: the labels of validation images, and the readable names of
// classes.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <vector>

namespace layerledger {

/// The classes that labels may be of.
struct LabelClasses {
    std::vector<std::string> here;   ///< in train/, sorted
    std::vector<std::string> whole;  ///< of the set that these are a part of, sorted; or empty
};

/// What a list says about validation images.
struct ValidationLabels {
    std::vector<std::string> classes;  ///< parallel to the files; empty where not of those here
    std::size_t elsewhere = 0;         ///< how many are empty
    std::string first_elsewhere;       ///< the label of one of them
};

/// The class of each validation image, from a list in one of four forms:
///   Kaggle's LOC_val_solution.csv: "ILSVRC2012_val_00000001,n01751748 111 108 411 219"
///   "ILSVRC2012_val_00000001.JPEG n01751748", also with a comma or a tab between
///   "ILSVRC2012_val_00000001.JPEG 65": the position of the class among those of the whole set,
///    counted from 0; where classes have numbers for names, a number is a name
///   "n01751748" alone: of the files in order of their names
/// `files` is sorted. Throws Error: input_missing where there is no such file, bad_data where it
/// does not match the images or names a class that the whole set, as far as it is known, does not
/// have, and where its numbers count more classes than are known.
[[nodiscard]] ValidationLabels read_validation_labels(const std::string& list,
                                                      const std::vector<std::string>& files,
                                                      const LabelClasses& classes);

/// "n01440764 tench, Tinca tinca" in each line, or a class alone; names of `classes` (sorted) may
/// have blanks in them. Throws Error{input_missing}.
[[nodiscard]] std::unordered_map<std::string, std::string> read_class_names(
    const std::string& file, const std::vector<std::string>& classes);

}  // namespace layerledger
