// What the writer asks of the file system directly, because HDF5 says too little or too late.
#pragma once

#include <cstdint>
#include <string>

namespace layerledger::disk {

/// Makes the folder of `path` and proves that a file can be made there under the name of `path`
/// with `bytes` of room. Throws Error{cannot_create} naming what is in the way.
void prepare(const std::string& path, bool overwrite, std::uint64_t bytes);

/// Reserves room up to `size` bytes from the beginning of the file, so that a full disk shows
/// before HDF5 has begun to change anything. Returns why there is none; empty where there is. File
/// systems that cannot reserve are trusted.
[[nodiscard]] std::string reserve(const std::string& path, std::uint64_t size);

/// A lock such as readers take, which keeps writers away.
class SharedLock {
public:
    /// Does not wait.
    explicit SharedLock(const std::string& path);
    SharedLock(SharedLock&& other) noexcept;
    SharedLock& operator=(SharedLock&&) = delete;
    ~SharedLock();

    /// False where a writer has the file, or it cannot be opened. True where locks do not exist.
    [[nodiscard]] bool is_held() const noexcept { return fd_ >= 0; }

private:
    int fd_;
};

}  // namespace layerledger::disk
