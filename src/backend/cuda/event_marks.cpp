#include "event_marks.hpp"

#include <chrono>
#include <cmath>

namespace layerledger::cuda {
namespace {

constexpr std::size_t least_events = 256;

std::int64_t steady_now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace

EventMarks::EventMarks(const Stream& compute) : compute_(compute) {
    reserve(least_events);
}

// The first event ties the device's clock to the host's: the stream is idle, so the record happens
// between two readings of the host's clock that are microseconds apart.
void EventMarks::reserve(std::size_t marks_per_iteration) {
    // One iteration is open, `latency` are in flight, one more waits to be read.
    const std::size_t wanted =
        marks_per_iteration * (static_cast<std::size_t>(latency()) + 2) + least_events;
    if (wanted <= events_.size()) {
        return;
    }
    compute_.synchronize();
    while (events_.size() < wanted) {
        events_.emplace_back(true);
    }
    moments_.assign(events_.size(), 0);
    const std::int64_t before = steady_now_ns();
    const Mark anchor = next_++;
    event(anchor).record(compute_);
    compute_.synchronize();
    newest_ns_ = static_cast<double>((before + steady_now_ns()) / 2);
    moments_[static_cast<std::size_t>(anchor) % moments_.size()] =
        static_cast<std::int64_t>(newest_ns_);
    resolved_ = next_;
}

Mark EventMarks::mark_on(const Stream& stream) noexcept {
    // A ring that is too small costs a wait, not a wrong time.
    while (next_ - resolved_ >= static_cast<Mark>(events_.size()) - 1) {
        resolve_next();
    }
    const Mark mark = next_++;
    check_quietly(cudaEventRecord(event(mark).get(), stream.get()), "cudaEventRecord");
    return mark;
}

void EventMarks::resolve_next() const noexcept {
    const Mark mark = resolved_++;
    float milliseconds = 0;
    const Event& newer = event(mark);
    check_quietly(cudaEventSynchronize(newer.get()), "cudaEventSynchronize");
    check_quietly(cudaEventElapsedTime(&milliseconds, event(mark - 1).get(), newer.get()),
                  "cudaEventElapsedTime");
    newest_ns_ += static_cast<double>(milliseconds) * 1e6;
    moments_[static_cast<std::size_t>(mark) % moments_.size()] = std::llround(newest_ns_);
}

std::int64_t EventMarks::nanoseconds(Mark mark) const noexcept {
    while (resolved_ <= mark && resolved_ < next_) {
        resolve_next();
    }
    const bool there = mark < next_ && next_ - mark <= static_cast<Mark>(events_.size());
    return there ? moments_[static_cast<std::size_t>(mark) % moments_.size()] : 0;
}

}  // namespace layerledger::cuda
