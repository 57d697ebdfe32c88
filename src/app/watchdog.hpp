// A thread beside training, for what training cannot do itself: to see that it does not go on, and
// to end in good order when the process is told to end.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <optional>
#include <thread>

namespace layerledger {

/// While it lives, SIGTERM, SIGINT and SIGHUP are its; afterwards they do again what they did
/// before. One at a time.
class Watchdog {
public:
    struct Orders {
        std::chrono::nanoseconds deadline{};
        /// A number that changes while training goes on; nothing while it may take its time.
        std::function<std::optional<std::uint64_t>()> pulse;
        /// The number stayed the same for the deadline and a little more, so that waits with the
        /// same deadline end first. Not called where training has taken the word.
        std::function<void(std::chrono::nanoseconds)> when_stuck;
        /// A signal came; when this returns, the process ends as the signal would have ended it.
        std::function<void(int)> when_told_to_end;
    };

    explicit Watchdog(Orders orders);
    ~Watchdog();
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

    /// For training, when it has failed: true where it is to say so. False where the watchdog is
    /// about to end the process.
    [[nodiscard]] bool take_word() noexcept { return !word_is_taken_.exchange(true); }
    /// What training had to say is said, or all ranks are about to say it: until then a signal finds
    /// the watchdog ready, though training has the word.
    void word_is_out() noexcept { word_is_out_ = true; }

private:
    void watch();

    static constexpr std::array<int, 3> signals{SIGTERM, SIGINT, SIGHUP};

    Orders orders_;
    std::atomic<bool> word_is_taken_{false};
    std::atomic<bool> word_is_out_{false};
    std::array<int, 2> pipe_{-1, -1};  // what is written to it wakes the thread
    std::array<struct sigaction, signals.size()> before_{};
    std::thread thread_;
};

}  // namespace layerledger
