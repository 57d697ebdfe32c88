// Marks on the GPU's clock: a mark is the number of an event.
#pragma once

#include <cstdint>
#include <vector>

#include "handles.hpp"
#include "layerledger/timeline/span.hpp"

namespace layerledger::cuda {

/// A ring of timed events, made before the first iteration. Mark n is the n-th record; its moment is
/// found by adding up the times between neighbours, since CUDA tells the time between two events as
/// a float of milliseconds, which is exact enough only when they are close.
///
/// One thread marks and resolves.
class EventMarks final : public MarkSource {
public:
    explicit EventMarks(const Stream& compute);

    [[nodiscard]] Mark mark() noexcept override { return mark_on(compute_); }
    /// Notes "now" on another stream.
    [[nodiscard]] Mark mark_on(const Stream& stream) noexcept;

    /// Waits for the event if it is not that late yet. 0 for a mark that was overwritten.
    [[nodiscard]] std::int64_t nanoseconds(Mark mark) const noexcept override;
    [[nodiscard]] int latency() const noexcept override { return 2; }
    void reserve(std::size_t marks_per_iteration) override;

private:
    void resolve_next() const noexcept;
    [[nodiscard]] const Event& event(Mark mark) const noexcept {
        return events_[static_cast<std::size_t>(mark) % events_.size()];
    }

    const Stream& compute_;
    std::vector<Event> events_;
    Mark next_ = 0;  // the next record's number
    // What has been resolved; the port's `nanoseconds` is const.
    mutable std::vector<std::int64_t> moments_;
    mutable Mark resolved_ = 0;  // marks below this have their moment
    mutable double newest_ns_ = 0;
};

}  // namespace layerledger::cuda
