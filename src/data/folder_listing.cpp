#include "folder_listing.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "layerledger/base/error.hpp"
#include "layerledger/base/output_file.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view header = "layerledger index 1";
constexpr std::string_view footer = "end";

// File systems date changes to 2 s at worst. What changed that shortly before it was listed may
// change again without getting another date.
constexpr std::int64_t coarsest_ns = 2'000'000'000;

bool is_jpeg_name(const fs::path& path) {
    std::string extension = path.extension().native();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return extension == ".jpg" || extension == ".jpeg";
}

struct Names {
    std::vector<std::string> all;       ///< sorted
    std::vector<std::string> dangling;  ///< those of links to nowhere
};

Names list(const fs::path& folder) {
    Names names;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
        const fs::path name = entry.path().filename();
        if (!is_jpeg_name(name) || name.native().starts_with('.')) {
            continue;
        }
        std::error_code unknown;  // a ring of links is a link to nowhere too
        const bool is_file = entry.is_regular_file(unknown);
        if (is_file || (entry.is_symlink() && !entry.exists(unknown))) {
            names.all.push_back(name.native());
            if (!is_file) {
                names.dangling.push_back(name.native());
            }
        }
    }
    std::sort(names.all.begin(), names.all.end());
    std::sort(names.dangling.begin(), names.dangling.end());
    return names;
}

std::int64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool is_one_line(const std::string& name) {
    return name.find_first_of("\t\n") == std::string::npos;
}

}  // namespace

FolderListing::FolderListing(const fs::path& root) : root_(root) {
    load();
}

FolderListing::State FolderListing::state_of(const std::string& folder) const {
    const fs::path path = root_ / folder;
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        throw fs::filesystem_error("stat", path, {errno, std::generic_category()});
    }
    return {std::int64_t{status.st_ctim.tv_sec} * 1'000'000'000 + status.st_ctim.tv_nsec,
            status.st_ino};
}

const std::vector<std::string>& FolderListing::images(const std::string& folder) {
    // The state of before: what changes while the names are read gives a later one.
    const State state = state_of(folder);
    const auto found = kept_.find(folder);
    if (found != kept_.end() && found->second.state == state) {
        ++remembered_;
        return found->second.names;
    }
    Folder& listed = kept_[folder];
    Names names = list(root_ / folder);
    for (const std::string& name : names.dangling) {
        dangling_.push_back(folder + "/" + name);
    }
    listed.names = std::move(names.all);
    const bool is_settled = state.changed_ns < now_ns() - coarsest_ns;
    // A link may be mended, which is no change of its folder.
    const bool can_be_kept = names.dangling.empty() && is_one_line(folder) &&
                             std::all_of(listed.names.begin(), listed.names.end(), is_one_line);
    listed.state = is_settled && can_be_kept ? state : State{};
    is_new_ = true;
    return listed.names;
}

// A header; for each folder a line "folder, time of change, inode, number of names" and its names;
// a last line. Anything else is not read at all.
void FolderListing::load() {
    std::ifstream in(root_ / file_name);
    std::string line;
    if (!std::getline(in, line) || line != header) {
        return;
    }
    std::map<std::string, Folder> kept;
    while (std::getline(in, line) && line != footer) {
        std::istringstream fields(line);
        std::string name;
        Folder folder;
        std::size_t count = 0;
        if (!std::getline(fields, name, '\t') ||
            !(fields >> folder.state.changed_ns >> folder.state.inode >> count)) {
            return;
        }
        for (; count > 0 && std::getline(in, line); --count) {
            folder.names.push_back(std::move(line));
        }
        kept.emplace(std::move(name), std::move(folder));
    }
    if (line == footer) {
        kept_ = std::move(kept);
    }
}

void FolderListing::save() const {
    if (!is_new_) {
        return;
    }
    // Of this process alone: two runs on one data set may get here at once.
    try {
        OutputFile out((root_ / file_name).native(), Writers::several);
        out.write(text(header, '\n'));
        for (const auto& [name, folder] : kept_) {
            if (folder.state == State{}) {
                continue;
            }
            out.write(text(name, '\t', folder.state.changed_ns, '\t', folder.state.inode, '\t',
                           folder.names.size(), '\n'));
            for (const std::string& image : folder.names) {
                out.write(text(image, '\n'));
            }
        }
        out.write(text(footer, '\n'));
        out.commit();
    } catch (const Error&) {
        // Data sets that nobody may write to are listed anew each time.
    }
}

}  // namespace layerledger
