// What a root says about its staging: a marker file, and a lock.
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
    std::uint64_t id = 0;   ///< of one writing: another each time
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

/// Replaces the marker as one step that survives a crash, under an id of its own; before it says
/// that the set is whole, all of it goes to the disk. Throws Error{cannot_create}.
void write_marker(const std::string& root, const StagingMarker& marker);

/// Tells those who wait for the lock that staging goes on.
void touch_marker(const std::string& root) noexcept;

/// The right to stage into a root, which one process has, or to look at it, which any number have
/// while nobody stages. The programs that a holder starts inherit it, so that it is free only when
/// they too have ended. Its file goes with its last holder, unless that one is killed.
class RootLock {
public:
    enum class Kind : unsigned char { look, stage };

    struct Waiting {
        std::chrono::seconds patience{};  ///< longest time without a sign of life of its holder
        /// Where there is a wait, told at its beginning and then every half minute how long it has
        /// been.
        std::function<void(std::chrono::seconds)> tell;
        std::function<bool()> stop;  ///< asked ten times a second: give up?
    };

    /// Waits while others hold it and show signs of life: the marker is touched. Throws Error:
    /// cannot_create, or interrupted where `stop` says so.
    RootLock(const std::string& root, Kind kind, const Waiting& waiting);
    RootLock(const RootLock&) = delete;
    RootLock& operator=(const RootLock&) = delete;
    ~RootLock();

    [[nodiscard]] int descriptor() const noexcept { return fd_; }

private:
    [[nodiscard]] bool try_once(Kind kind);

    std::string path_;
    int fd_ = -1;
};

}  // namespace layerledger
