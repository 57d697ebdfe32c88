// What a root says about its staging: a marker file, and a lock that one process holds.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace layerledger {

/// Where a root has one, staging owns its classes.
struct StagingMarker {
    bool is_whole = false;  ///< false: a transfer has begun and not ended
    std::string remote;
    std::vector<std::string> classes;  ///< chosen, sorted
    std::vector<std::string> whole;    ///< all that the remote has, sorted
    std::int64_t files = 0;
    std::int64_t bytes = 0;
    std::uint64_t digest = 0;
};

/// Nothing where there is none. One that cannot be understood says that nothing is whole.
[[nodiscard]] std::optional<StagingMarker> read_marker(const std::string& root);

/// Replaces the marker as one step that survives a crash. Throws Error{cannot_create}.
void write_marker(const std::string& root, const StagingMarker& marker);

/// Tells those who wait for the lock that staging goes on.
void touch_marker(const std::string& root) noexcept;

/// The right to stage into a root. The programs that a holder starts inherit it, so that it is free
/// only when they too have ended.
class RootLock {
public:
    /// Waits while another process holds it and shows signs of life (the marker is touched) at
    /// least every `patience`. Calls `waiting` once where there is a wait; gives up where `stop`
    /// returns true. Throws Error: cannot_create, or interrupted after `stop`.
    RootLock(const std::string& root, std::chrono::seconds patience,
             const std::function<void()>& waiting, const std::function<bool()>& stop);
    RootLock(const RootLock&) = delete;
    RootLock& operator=(const RootLock&) = delete;
    ~RootLock();

    [[nodiscard]] int descriptor() const noexcept { return fd_; }

private:
    int fd_ = -1;
};

}  // namespace layerledger
