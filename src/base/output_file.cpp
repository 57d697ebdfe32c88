#include "layerledger/base/output_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

constexpr std::size_t buffer_bytes = std::size_t{1} << 20;

/// Not the thread's number alone: a folder is often the same on many nodes.
std::string this_writer() {
    std::array<char, 256> host{};
    static_cast<void>(::gethostname(host.data(), host.size() - 1));
    return text(".", host.data(), "-", ::gettid());
}

}  // namespace

void make_folder(const std::string& folder) {
    std::error_code failure;
    if (folder.empty() || std::filesystem::is_directory(folder, failure)) {
        return;
    }
    std::filesystem::create_directories(folder, failure);
    LL_VALIDATE(!failure, ExitCode::cannot_create,
                text("cannot create the folder '", folder, "' (", failure.message(),
                     ") choose another one"));
}

void require_room_for_folder(const std::string& folder) {
    std::error_code failure;
    std::filesystem::path there = std::filesystem::absolute(folder.empty() ? "." : folder, failure);
    while (!std::filesystem::exists(there, failure) && there.has_relative_path()) {
        there = there.parent_path();
    }
    const char* const why = !std::filesystem::is_directory(there, failure) ? "it is no folder"
                            : ::access(there.c_str(), W_OK | X_OK) != 0    ? std::strerror(errno)
                                                                           : nullptr;
    LL_VALIDATE(why == nullptr, ExitCode::cannot_create,
                text("cannot write below '", there.string(), "' (", why == nullptr ? "" : why,
                     ") choose another folder"));
}

OutputFile::OutputFile(std::string path, Writers writers)
    : path_(std::move(path)),
      part_(text(path_, writers == Writers::one ? "" : this_writer(), ".part")) {
    std::error_code failure;
    LL_VALIDATE(!std::filesystem::is_directory(path_, failure), ExitCode::cannot_create,
                text("cannot write '", path_, "' (it is a folder) choose another name"));
    fd_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    LL_VALIDATE(
        fd_ >= 0, ExitCode::cannot_create,
        text("cannot create '", path_, "' (", std::strerror(errno), ") choose another folder"));
    buffer_.reserve(buffer_bytes);
}

OutputFile::~OutputFile() {
    if (fd_ >= 0) {
        ::close(fd_);
        ::unlink(part_.c_str());
    }
}

void OutputFile::fail(int reason) const {
    throw Error(ExitCode::data_lost, text("cannot write '", path_, "' (", std::strerror(reason),
                                          ") make room or choose another folder"));
}

void OutputFile::flush() {
    std::string_view left = buffer_;
    while (!left.empty()) {
        const ssize_t written = ::write(fd_, left.data(), left.size());
        if (written >= 0) {
            left.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno != EINTR) {
            fail(errno);
        }
    }
    buffer_.clear();
}

void OutputFile::write(std::string_view bytes) {
    if (buffer_.size() + bytes.size() > buffer_bytes) {
        flush();
    }
    buffer_ += bytes;
}

void OutputFile::sync() {
    flush();
    // Some file systems tell only here that there was no room. Pipes and the like cannot do it.
    if (::fsync(fd_) != 0 && errno != EINVAL && errno != EROFS) {
        fail(errno);
    }
}

void OutputFile::commit() {
    sync();
    if (::close(std::exchange(fd_, -1)) != 0 || std::rename(part_.c_str(), path_.c_str()) != 0) {
        const int reason = errno;
        ::unlink(part_.c_str());
        fail(reason);
    }
}

}  // namespace layerledger
