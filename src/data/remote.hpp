// Where a data set is staged from, and how rsync is told what to take.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace layerledger {

/// host:/path over ssh, rsync://host/module/path or host::module/path of a daemon, or a local path.
struct Remote {
    enum class Kind : unsigned char { local, ssh, daemon };
    Kind kind = Kind::local;
    std::string host;  ///< "user@node:22", for messages; empty where local
    std::string base;  ///< what rsync takes, without a '/' at its end

    /// rsync's source for the content of a folder below the base ("" is the base itself).
    [[nodiscard]] std::string source(std::string_view folder) const;
};

/// Throws Error{configuration} for what is none of these.
[[nodiscard]] Remote parse_remote(const std::string& text);

/// rsync's filter rules that take the chosen classes of train/ and val/ below `prefix` (empty or
/// ending in '/'), files that lie in val/ itself, and the lists (*.txt, *.csv) in the base. One
/// rule a line.
[[nodiscard]] std::string filter_rules(const std::string& prefix,
                                       const std::vector<std::string>& classes);

}  // namespace layerledger
