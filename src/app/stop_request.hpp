// A request to end in good order: SIGUSR1, which job schedulers send before the time is over.
#pragma once

namespace layerledger {

/// From here on SIGUSR1 is noted instead of ending the process.
void listen_for_stop_requests() noexcept;

/// Whether one came since the process began to listen.
[[nodiscard]] bool is_stop_requested() noexcept;

}  // namespace layerledger
