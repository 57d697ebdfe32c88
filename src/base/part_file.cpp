#include "layerledger/base/part_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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
    const bool is_synced = fd >= 0 && ::fsync(fd) == 0;
    const int reason = is_synced ? 0 : errno;
    if (fd >= 0) {
        ::close(fd);
    }
    // Some file systems cannot sync a folder, some folders may be written and not read; then there
    // is nothing to wait for.
    constexpr std::array excuses{EINVAL, ENOTSUP, ENOSYS, EACCES};
    LL_VALIDATE(is_synced || std::ranges::find(excuses, reason) != excuses.end(),
                ExitCode::data_lost,
                text("'", path, "' does not reach the disk (", std::strerror(reason), ")"));
}

PartFile::~PartFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
}

void PartFile::give_name() {
    LL_VALIDATE(
        std::rename(path_.c_str(), name_.c_str()) == 0, ExitCode::data_lost,
        text("cannot give '", path_, "' its name '", name_, "' (", std::strerror(errno), ")"));
}

void PartFile::publish() {
    sync_to_disk(path_);
    give_name();
    sync_to_disk(std::filesystem::path(name_).parent_path().string());
}

}  // namespace layerledger
