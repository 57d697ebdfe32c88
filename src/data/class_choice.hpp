// data.classes: which classes of a data set a run takes.
#pragma once

#include <string>
#include <vector>

namespace layerledger {

/// The classes of `found` (sorted) that `wanted` asks for, sorted: all where it is empty, the first
/// N where it is one number, else those that it names, or that the file which it names does: one a
/// line, names with blanks too; empty lines and those that begin with '#' are passed over, and what
/// follows a name is not read, so that a synset mapping serves too. Throws Error: configuration
/// where it asks for a class that is not there, for one twice, or for fewer than two; input_missing
/// where the file is missing. `where` says in messages what has no such class.
[[nodiscard]] std::vector<std::string> choose_classes(const std::vector<std::string>& found,
                                                      const std::vector<std::string>& wanted,
                                                      const std::string& where = "the folder");

/// The class (of `classes`, sorted) that a line of words begins with; names may have blanks in
/// them, and the longest counts. Empty where there is none.
[[nodiscard]] std::string class_named_by(const std::string& words,
                                         const std::vector<std::string>& classes);

/// A text file, without the '\r' of lines that end in two characters. Throws Error{input_missing},
/// which sends its reader to `setting`.
[[nodiscard]] std::vector<std::string> read_lines(const std::string& file, const char* setting);

}  // namespace layerledger
