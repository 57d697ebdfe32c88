#include "disk.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::disk {
namespace {

/// An open file descriptor, or the reason why there is none.
class Descriptor {
public:
    Descriptor(const std::string& path, int flags) : fd_(::open(path.c_str(), flags, 0666)) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
    [[nodiscard]] int get() const noexcept { return fd_; }

private:
    int fd_;
};

bool means_full(int reason) {
    return reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
}

}  // namespace

void prepare(const std::string& path, bool overwrite, std::uint64_t bytes) {
    namespace fs = std::filesystem;
    std::error_code failure;
    LL_VALIDATE(
        !fs::is_directory(path, failure), ExitCode::cannot_create,
        text("'", path, "' is a folder (a run file goes there) choose another output.file"));
    LL_VALIDATE(overwrite || !fs::exists(path, failure), ExitCode::cannot_create,
                text("'", path,
                     "' already exists (earlier results are kept) use --output.overwrite "
                     "true or another output.file"));
    const fs::path folder = fs::path(path).parent_path();
    if (!folder.empty() && !fs::is_directory(folder, failure)) {
        fs::create_directories(folder, failure);
        LL_VALIDATE(!failure, ExitCode::cannot_create,
                    text("cannot create the folder '", folder.string(), "' (", failure.message(),
                         ") choose another output.directory"));
    }

    const std::string trial = path + ".part";
    std::string reason;
    if (const Descriptor file(trial, O_WRONLY | O_CREAT | O_TRUNC); !file.is_open()) {
        reason = std::strerror(errno);
    }
    if (reason.empty()) {
        reason = reserve(trial, bytes);
        fs::remove(trial, failure);
    }
    LL_VALIDATE(reason.empty(), ExitCode::cannot_create,
                text("cannot write '", path, "' (", reason,
                     ") choose another output.directory or output.file"));
}

std::string reserve(const std::string& path, std::uint64_t size) {
    const Descriptor file(path, O_WRONLY);
    if (!file.is_open()) {
        return std::strerror(errno);
    }
    const off_t before = ::lseek(file.get(), 0, SEEK_END);
    if (::fallocate(file.get(), 0, 0, static_cast<off_t>(size)) == 0 || !means_full(errno)) {
        return "";
    }
    const int reason = errno;
    // What was taken before the disk was full is of no use to us and may be to others.
    if (::ftruncate(file.get(), before) != 0) {
        return std::strerror(errno);
    }
    return std::strerror(reason);
}

SharedLock::SharedLock(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ >= 0 && ::flock(fd_, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        ::close(std::exchange(fd_, -1));
    }
}

SharedLock::SharedLock(SharedLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

SharedLock::~SharedLock() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

}  // namespace layerledger::disk
