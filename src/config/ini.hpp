// INI text: [section], key = value, # comment. A value in double quotes keeps its blanks and '#'.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace layerledger::config {

struct IniEntry {
    std::string key;  ///< with its section: "train.epochs"
    std::string value;
    int line = 0;  ///< the first line is 1
};

/// Throws Error{configuration}, naming `name` and the line, where a line is neither a section nor
/// key = value, and, with both lines, where a key comes twice.
[[nodiscard]] std::vector<IniEntry> read_ini(const std::string& content, const std::string& name);

/// `value` as `read_ini` reads it back: in quotes where it would lose something without them.
[[nodiscard]] std::string ini_value(const std::string& value);

/// Without white space at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view word);

}  // namespace layerledger::config
