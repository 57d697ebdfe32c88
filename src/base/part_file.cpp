#include "layerledger/base/part_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {

void sync_to_disk(const std::string& path) {
    const int fd = ::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_CLOEXEC);
    // Some file systems cannot sync a folder; then there is nothing to wait for.
    const bool is_synced = fd >= 0 && (::fsync(fd) == 0 || errno == EINVAL);
    const int reason = errno;
    if (fd >= 0) {
        ::close(fd);
    }
    LL_VALIDATE(is_synced, ExitCode::data_lost,
                text("'", path, "' does not reach the disk (", std::strerror(reason), ")"));
}

PartFile::~PartFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
}

void PartFile::publish() {
    sync_to_disk(path_);
    LL_VALIDATE(
        std::rename(path_.c_str(), name_.c_str()) == 0, ExitCode::data_lost,
        text("cannot give '", path_, "' its name '", name_, "' (", std::strerror(errno), ")"));
    sync_to_disk(std::filesystem::path(name_).parent_path().string());
}

}  // namespace layerledger
