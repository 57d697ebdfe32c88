// Names of the files in folders, remembered from one run to the next.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace layerledger {

/// Lists folders below a root. Listing a million files takes a parallel file system minutes,
/// looking at a thousand folders an instant: so the names of each folder are kept in a file in the
/// root, and hold for as long as nothing has been added to the folder, taken away or renamed in it.
class FolderListing {
public:
    explicit FolderListing(const std::filesystem::path& root);

    /// Names of the JPEG files in root/folder, sorted; hidden ones left out. A link is one whatever
    /// it points to.
    [[nodiscard]] const std::vector<std::string>& images(const std::string& folder);

    /// Links to nowhere among all names so far, below the root. A folder that has one is looked at
    /// each time.
    [[nodiscard]] const std::vector<std::string>& dangling() const noexcept { return dangling_; }

    /// Keeps what was listed, if anything is new; silent where the root cannot be written.
    void save() const;

    /// Folders whose names came from the file.
    [[nodiscard]] int remembered() const noexcept { return remembered_; }

    static constexpr const char* file_name = ".layerledger-index.tsv";

private:
    /// When a folder last changed, and which one it is. A change sets the time; no program can set
    /// it back.
    struct State {
        std::int64_t changed_ns = 0;
        std::uint64_t inode = 0;
        bool operator==(const State&) const = default;
    };
    struct Folder {
        State state;
        std::vector<std::string> names;
    };

    [[nodiscard]] State state_of(const std::string& folder) const;
    void load();

    std::filesystem::path root_;
    std::map<std::string, Folder> kept_;
    std::vector<std::string> dangling_;
    int remembered_ = 0;
    bool is_new_ = false;
};

}  // namespace layerledger
