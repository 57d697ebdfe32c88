// Signals that ask a job to stop, noted instead of obeyed at once.
#pragma once

#include <array>
#include <csignal>

namespace layerledger {

/// While it lives, SIGTERM, SIGINT, SIGHUP and SIGUSR1 are noted; afterwards they do again what
/// they did before. One at a time.
class StopSignals {
public:
    StopSignals();
    ~StopSignals();
    StopSignals(const StopSignals&) = delete;
    StopSignals& operator=(const StopSignals&) = delete;

    /// The signal that came last; 0 where none has come.
    [[nodiscard]] static int caught() noexcept;

private:
    static constexpr std::array<int, 4> signals{SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    std::array<struct sigaction, signals.size()> before_{};
};

}  // namespace layerledger
