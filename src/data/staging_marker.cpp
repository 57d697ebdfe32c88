#include "staging_marker.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/output_file.hpp"
#include "layerledger/base/part_file.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

constexpr std::string_view first_line = "layerledger staging 2";

std::string marker_path(const std::string& root) {
    return root + "/.layerledger-staged";
}

Error cannot_write(const std::string& path) {
    return {ExitCode::cannot_create, text("cannot write '", path, "' (", std::strerror(errno),
                                          ") choose a data.root that can be written")};
}

/// One fact a line, in words; then a class of the remote in each, after '+' where it is chosen.
std::string to_text(StagingMarker marker) {
    std::random_device random;
    marker.id = (std::uint64_t{random()} << 32U) | random();
    std::string out =
        text(first_line, "\n", marker.is_whole ? "whole" : "begun", "\n", marker.remote, "\n",
             marker.id, " ", marker.files, " ", marker.bytes, " ", marker.digest, "\n");
    for (const std::string& name : marker.whole) {
        const bool is_chosen =
            std::binary_search(marker.classes.begin(), marker.classes.end(), name);
        out += (is_chosen ? "+" : "-") + name + "\n";
    }
    return out + "\n";  // the empty line says that nothing is cut off
}

StagingMarker from_text(std::istream& in) {
    StagingMarker marker;
    std::string line;
    std::string state;
    if (!std::getline(in, line) || line != first_line || !std::getline(in, state) ||
        !std::getline(in, marker.remote) || !std::getline(in, line)) {
        return {};
    }
    std::istringstream numbers(line);
    bool ends = false;
    while (!ends && std::getline(in, line)) {
        ends = line.empty();
        if (!ends) {
            marker.whole.push_back(line.substr(1));
        }
        if (line.starts_with('+')) {
            marker.classes.push_back(line.substr(1));
        }
    }
    const bool has_numbers(numbers >> marker.id >> marker.files >> marker.bytes >> marker.digest);
    marker.is_whole = state == "whole" && has_numbers && ends;
    return marker;
}

/// Of its whole file system: nothing else reaches all that another program has written.
void sync_files_below(const std::string& root) {
    const int folder = ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool is_synced = folder >= 0 && ::syncfs(folder) == 0;
    const int reason = errno;
    if (folder >= 0) {
        ::close(folder);
    }
    LL_VALIDATE(is_synced, ExitCode::cannot_create,
                text("what was copied to '", root, "' does not reach the disk (",
                     std::strerror(reason), ") choose another data.root"));
}

/// When the marker was touched last; 0 where there is none.
std::int64_t touched_ns(const std::string& root) {
    struct stat found {};
    if (::stat(marker_path(root).c_str(), &found) != 0) {
        return 0;
    }
    return std::int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec;
}

}  // namespace

std::optional<StagingMarker> read_marker(const std::string& root) {
    std::ifstream file(marker_path(root));
    if (!file.is_open()) {
        return {};
    }
    return from_text(file);
}

void write_marker(const std::string& root, const StagingMarker& marker) {
    if (marker.is_whole) {  // first the files, then the word for them
        sync_files_below(root);
    }
    try {
        OutputFile file(marker_path(root));
        file.write(to_text(marker));
        file.commit();
        sync_to_disk(root);
    } catch (const Error& error) {
        throw Error(ExitCode::cannot_create, error.what());  // before training nothing is lost
    }
}

void touch_marker(const std::string& root) noexcept {
    ::utimensat(AT_FDCWD, marker_path(root).c_str(), nullptr, 0);
}

RootLock::RootLock(const std::string& root, Kind kind, const Waiting& waiting)
    : path_(root + "/.layerledger-staging.lock") {
    using Clock = std::chrono::steady_clock;
    constexpr std::chrono::seconds between_lines{30};
    const auto begun = Clock::now();
    auto told = begun - between_lines;
    auto alive = begun;
    std::int64_t touched = touched_ns(root);
    while (!try_once(kind)) {
        const auto now = Clock::now();
        if (now - told >= between_lines) {
            waiting.tell(std::chrono::duration_cast<std::chrono::seconds>(now - begun));
            told = now;
        }
        if (const std::int64_t latest = touched_ns(root); latest != touched) {
            touched = latest;
            alive = now;
        }
        if (waiting.stop()) {
            throw Error(ExitCode::interrupted, text("waiting for '", root, "' was stopped (",
                                                    "another process stages into it) start again"));
        }
        LL_VALIDATE(now - alive <= waiting.patience, ExitCode::cannot_create,
                    text("another process has been staging into '", root, "' for ",
                         duration_text(std::chrono::duration<double>(waiting.patience).count()),
                         " without a sign of life (it may hang) end it, or choose another "
                         "data.root"));
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

/// False where others hold it. The file of a holder that has just gone is no lock any more: whoever
/// comes next makes another.
bool RootLock::try_once(Kind kind) {
    const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        throw cannot_write(path_);
    }
    const int failure = ::flock(fd, (kind == Kind::stage ? LOCK_EX : LOCK_SH) | LOCK_NB);
    const bool is_held = failure != 0 && (errno == EWOULDBLOCK || errno == EINTR);
    struct stat ours {};
    struct stat named {};
    const bool is_gone = ::fstat(fd, &ours) != 0 || ::stat(path_.c_str(), &named) != 0 ||
                         ours.st_ino != named.st_ino || ours.st_dev != named.st_dev;
    // Some network file systems have no locks; there, care is the users'.
    if (is_held || is_gone) {
        ::close(fd);
        return false;
    }
    fd_ = fd;
    return true;
}

RootLock::~RootLock() {
    if (fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) == 0) {  // not while others look
        ::unlink(path_.c_str());
    }
    ::close(fd_);
}

}  // namespace layerledger
