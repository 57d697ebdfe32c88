#include "event_marks.hpp"

#include <chrono>

namespace layerledger::cuda {

void TimedEvents::provide(std::size_t count) {
    compute_.synchronize();
    while (events_.size() < count) {
        events_.emplace_back(true);
    }
}

void TimedEvents::record(std::size_t event, const Stream& stream) noexcept {
    check_quietly(cudaEventRecord(events_[event].get(), stream.get()), "cudaEventRecord");
}

void TimedEvents::wait(std::size_t event) noexcept {
    check_quietly(cudaEventSynchronize(events_[event].get()), "cudaEventSynchronize");
}

double TimedEvents::elapsed_ns(std::size_t from, std::size_t to) noexcept {
    float milliseconds = 0;
    check_quietly(cudaEventElapsedTime(&milliseconds, events_[from].get(), events_[to].get()),
                  "cudaEventElapsedTime");
    return static_cast<double>(milliseconds) * 1e6;
}

std::int64_t TimedEvents::host_ns() noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace layerledger::cuda
