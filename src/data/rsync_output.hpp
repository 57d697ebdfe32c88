// What rsync says: its list of files, its progress, its errors.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "layerledger/base/error.hpp"
#include "remote.hpp"

namespace layerledger {

/// Pieces of a stream as lines; a carriage return ends a line too.
class Lines {
public:
    /// Calls `use(line)` for each line that `piece` completes.
    template <class Use>
    void add(std::string_view piece, const Use& use) {
        for (const char c : piece) {
            if (c == '\n' || c == '\r') {
                if (!open_.empty()) {
                    use(std::string_view(open_));
                }
                open_.clear();
            } else {
                open_ += c;
            }
        }
    }

private:
    std::string open_;
};

/// The options that make rsync print a line for every file of the set, changed or not, and its
/// progress. What they print is read by `TransferOutput`.
[[nodiscard]] std::vector<std::string> output_options();

/// Sums up a transfer from rsync's standard output.
class TransferOutput {
public:
    void read(std::string_view line);

    std::int64_t files = 0;  ///< of the set
    std::int64_t bytes = 0;
    std::uint64_t digest = 0;            ///< over names, sizes and times, in any order
    std::int64_t transferred_files = 0;  ///< of the set, new or changed
    std::int64_t transferred_bytes = 0;
    std::int64_t deleted = 0;        ///< files and folders that the remote has no more
    std::int64_t arrived_bytes = 0;  ///< progress
    std::int64_t percent = 0;        ///< of what is listed so far

private:
    void read_item(std::string_view item);
};

/// The folders in what `rsync --list-only` prints, without "." and hidden ones, sorted.
[[nodiscard]] std::vector<std::string> listed_folders(const std::vector<std::string>& lines);

/// Why rsync failed, as an Error that says what to do.
struct Failure {
    int exit_code = 0;
    std::vector<std::string> errors;  ///< lines of standard error
};
[[nodiscard]] Error explain(const Failure& failure, const Remote& remote, const std::string& root);

/// The folder or file is not on the remote, as opposed to all other failures.
[[nodiscard]] bool means_missing(const Failure& failure);

}  // namespace layerledger
