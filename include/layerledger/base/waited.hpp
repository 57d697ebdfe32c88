// How long something has been waited for.
#pragma once

#include <algorithm>
#include <chrono>

namespace layerledger {

/// A time that a setting gives in seconds.
[[nodiscard]] inline std::chrono::nanoseconds nanoseconds_of(double seconds) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(seconds));
}

/// Of the time since it began, what this process lived through: a wait looks often, so that a long
/// time between two looks means that the process stood still. Schedulers suspend jobs, and nobody
/// is late for that.
class Waited {
public:
    using Clock = std::chrono::steady_clock;

    /// `longest_look` is more than lies between two looks while the process lives.
    explicit Waited(std::chrono::nanoseconds longest_look = std::chrono::seconds(1),
                    Clock::time_point now = Clock::now())
        : longest_look_(longest_look), looked_(now) {}

    std::chrono::nanoseconds look(Clock::time_point now = Clock::now()) {
        waited_ += std::min<std::chrono::nanoseconds>(now - looked_, longest_look_);
        looked_ = now;
        return waited_;
    }

private:
    std::chrono::nanoseconds longest_look_;
    Clock::time_point looked_;
    std::chrono::nanoseconds waited_{0};
};

}  // namespace layerledger
