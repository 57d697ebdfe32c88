#include "event_marks.hpp"

#include <chrono>

namespace layerledger::cuda {

void TimedEvents::provide(std::size_t count) {
    compute_.synchronize();
    while (ring_.size() < count) {
        ring_.emplace_back(true);
    }
}

void TimedEvents::record(std::size_t event, const Stream& stream) noexcept {
    check_quietly(cudaEventRecord(get(event), stream.get()), "cudaEventRecord");
}

// An external record is a node of its own, which notes the moment whenever the graph runs.
std::size_t TimedEvents::record_captured() noexcept {
    const std::size_t event = add();
    check_quietly(cudaEventRecordWithFlags(get(event), compute_.get(), cudaEventRecordExternal),
                  "cudaEventRecordWithFlags");
    return event;
}

std::size_t TimedEvents::add() {
    captured_.emplace_back(true);
    return beside + captured_.size() - 1;
}

void TimedEvents::wait(std::size_t event) noexcept {
    check_quietly(cudaEventSynchronize(get(event)), "cudaEventSynchronize");
}

double TimedEvents::elapsed_ns(std::size_t from, std::size_t to) noexcept {
    float milliseconds = 0;
    check_quietly(cudaEventElapsedTime(&milliseconds, get(from), get(to)),
                  "cudaEventElapsedTime");
    return static_cast<double>(milliseconds) * 1e6;
}

std::int64_t TimedEvents::host_ns() noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace layerledger::cuda
