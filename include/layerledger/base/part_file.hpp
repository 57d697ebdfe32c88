// A file that another library writes, and that appears whole or not at all.
#pragma once

#include <string>
#include <utility>

namespace layerledger {

/// What was written to a file, or the names in a folder, are on the disk when this returns; an
/// empty path is the working folder. Throws Error{data_lost}.
void sync_to_disk(const std::string& path);

/// Where a file grows until it is complete: beside its own name, what is there under which stays
/// until then. It goes unless it was published.
class PartFile {
public:
    explicit PartFile(std::string name) : name_(std::move(name)), path_(name_ + ".part") {}
    ~PartFile();
    PartFile(const PartFile&) = delete;
    PartFile& operator=(const PartFile&) = delete;

    /// Under which it is to be written.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    /// Gives the file, which was closed before, its name. It may be on the disk only later: nobody
    /// waits for the disk. Throws Error{data_lost}.
    void give_name();

    /// The same, and it is on the disk and has its name when this returns.
    void publish();

private:
    std::string name_;
    std::string path_;
};

}  // namespace layerledger
