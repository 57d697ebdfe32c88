#include "output_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/output_file.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds patience{5};
constexpr std::chrono::milliseconds nap{50};

std::string this_process() {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    return text("process ", ::getpid(), " on ", host.data());
}

/// What the process that holds the lock says of itself.
std::string holder(int fd) {
    std::array<char, 512> words{};
    const ssize_t size = ::pread(fd, words.data(), words.size(), 0);
    std::string said(words.data(), static_cast<std::size_t>(size > 0 ? size : 0));
    said = said.substr(0, said.find('\n'));
    return said.empty() ? "another process" : said;
}

/// The topmost folder of a path that is not there; empty if all are.
std::string first_missing(const fs::path& folder) {
    std::string missing;
    for (fs::path here = folder; !here.empty(); here = here.parent_path()) {
        std::error_code failure;
        if (fs::exists(here, failure) || here == here.parent_path()) {
            break;
        }
        missing = here.string();
    }
    return missing;
}

/// Whether the file that is open is still the one at its path: the one who held the lock before may
/// have taken it away.
bool is_at(const std::string& path, int fd) {
    struct stat here {};
    struct stat opened {};
    return ::stat(path.c_str(), &here) == 0 && ::fstat(fd, &opened) == 0 &&
           here.st_ino == opened.st_ino && here.st_dev == opened.st_dev;
}

}  // namespace

OutputLock::OutputLock(std::string path) : path_(std::move(path)) {
    const fs::path folder = fs::path(path_).parent_path();
    made_ = first_missing(folder);
    make_folder(folder.string());
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!acquire(deadline)) {
    }
    const std::string words = this_process() + "\n";
    // On a full disk the lock holds all the same; it only does not say who has it.
    if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, words.data(), words.size(), 0) < 0) {
        log::warning(text("cannot write '", path_, "' (", std::strerror(errno), ")"));
    }
}

/// False where the file has to be opened anew, because it is another one or still taken.
bool OutputLock::acquire(std::chrono::steady_clock::time_point deadline) {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    LL_VALIDATE(fd_ >= 0, ExitCode::cannot_create,
                text("cannot create '", path_, "' (", std::strerror(errno),
                     ") choose another output.directory"));
    int result = 0;
    do {
        result = ::flock(fd_, LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result == 0) {
        if (is_at(path_, fd_)) {
            return true;
        }
        ::close(std::exchange(fd_, -1));
        return false;
    }
    if (errno != EWOULDBLOCK) {
        log::warning(text("'", path_, "' cannot be locked (", std::strerror(errno),
                          ") do not start the same run twice at a time"));
        return true;
    }
    const std::string who = holder(fd_);
    ::close(std::exchange(fd_, -1));
    if (std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(nap);
        return false;
    }
    throw Error(ExitCode::cannot_create,
                text("another start is writing this run ('", path_, "' is held by ", who,
                     ") wait for its end or use another experiment.name or output.directory"));
}

OutputLock::~OutputLock() {
    ::unlink(path_.c_str());  // before others may have it
    ::close(fd_);
    std::error_code failure;
    for (fs::path folder = fs::path(path_).parent_path(); !made_.empty();
         folder = folder.parent_path()) {
        if (!fs::remove(folder, failure) || folder == made_) {
            break;
        }
    }
}

}  // namespace layerledger
