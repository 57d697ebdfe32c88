// Marks on the clock of a device that works through queues. What CUDA has to do with it is behind
// `Events`, so that the arithmetic runs without a GPU.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "layerledger/timeline/span.hpp"

namespace layerledger::cuda {

/// Most marks are events, which the device passes and times. Where it has nothing to do between two
/// marks, the second is none: the device would pass it as soon as it is there, hence at the later
/// of the first mark and the host's own now.
///
/// An event's moment is found by adding up the times between neighbours, since CUDA tells the time
/// between two events as a float of milliseconds, which is exact enough only when they are close.
/// While the device rests its clock is read against the host's: moments are nanoseconds of the
/// host's steady clock, by a line through the first and the newest reading.
///
/// `Events` is a ring of timed events, numbered from 0:
///     using Stream = ...;  const Stream& compute();
///     void provide(std::size_t);                        how many there are
///     void record(std::size_t, const Stream&) noexcept;
///     std::size_t record_captured() noexcept;           on the compute stream's capture: the
///     number
///                                                       of an event beside the ring
///     void wait(std::size_t) noexcept;                  until it has passed
///     double elapsed_ns(std::size_t from, std::size_t to) noexcept;  both have passed
///     std::int64_t host_ns() noexcept;                  the steady clock
///
/// One thread marks and resolves.
template <class Events>
class QueueMarks final : public MarkSource {
public:
    using Stream = typename Events::Stream;

    explicit QueueMarks(Events events) : events_(std::move(events)) { provide(least); }

    [[nodiscard]] Mark mark() noexcept override { return mark_on(events_.compute()); }
    [[nodiscard]] Mark mark_on(const Stream& stream) noexcept;
    [[nodiscard]] Mark host_mark() noexcept override;
    [[nodiscard]] Mark rest_mark() noexcept override;

    /// Events of a captured graph, which pass anew whenever it is launched.
    struct Captured {
        std::vector<std::size_t> events;
        Mark last = 0;  ///< of the newest launch
    };
    /// From here on marks are made in a capture of the compute stream: the n-th is -n. To mark the
    /// host means nothing there.
    void begin_capture() noexcept { capture_.emplace(); }
    [[nodiscard]] std::vector<std::size_t> end_capture() noexcept {
        return *std::exchange(capture_, std::nullopt);
    }
    /// Before a launch: makes its marks, and returns the first.
    [[nodiscard]] Mark replay(Captured& captured) noexcept;

    [[nodiscard]] Events& events() noexcept { return events_; }

    /// Waits for what is not passed yet. 0 for a mark that was overwritten.
    [[nodiscard]] std::int64_t nanoseconds(Mark mark) const noexcept override;
    [[nodiscard]] std::int64_t made_ns(Mark mark) const noexcept override {
        return at(mark).host_ns;
    }
    [[nodiscard]] int latency() const noexcept override { return 2; }
    [[nodiscard]] bool queues() const noexcept override { return true; }
    void reserve(std::size_t marks_per_iteration) override {
        // One iteration is open, `latency` are in flight, one more waits to be read.
        provide(marks_per_iteration * (static_cast<std::size_t>(latency()) + 2) + least);
    }

private:
    static constexpr std::size_t least = 256;
    static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

    struct Noted {
        std::int64_t host_ns = 0;  // when it was made
        std::size_t event = none;
        bool computes = true;  // it is on the compute stream
        std::int64_t moment_ns = 0;
    };
    /// The two clocks at one moment.
    struct Reading {
        double device_ns = 0;
        std::int64_t host_ns = 0;
    };

    void provide(std::size_t count);
    [[nodiscard]] Noted& note(std::size_t event, bool computes) noexcept;
    /// Records the next event of the ring.
    [[nodiscard]] std::size_t record(const Stream& stream) noexcept;
    void resolve_next() const noexcept;
    void wait_for(Mark mark) const noexcept;
    /// The moment of the event behind the last one that was looked at.
    void pass(std::size_t event) const noexcept;

    [[nodiscard]] Noted& at(Mark mark) const noexcept {
        return noted_[static_cast<std::size_t>(mark) % noted_.size()];
    }
    [[nodiscard]] std::int64_t on_host(double device_ns) const noexcept {
        return newest_.host_ns + std::llround((device_ns - newest_.device_ns) * rate_);
    }

    mutable Events events_;
    std::optional<std::vector<std::size_t>> capture_;
    std::size_t recorded_ = 0;  // events of the ring so far
    Mark next_ = 1;             // the next mark's number; there is no mark 0
    std::optional<Reading> first_;
    Reading newest_;
    double rate_ = 1;  // host nanoseconds in one of the device's
    // What has been resolved; the port's `nanoseconds` is const.
    mutable std::vector<Noted> noted_;
    mutable Mark resolved_ = 1;          // marks below this have their moment
    mutable Mark waited_ = 0;            // what computes up to here has passed
    mutable std::size_t looked_at_ = 0;  // events of the ring so far
    mutable std::size_t passed_ = 0;     // the newest event that was looked at
    mutable double device_ns_ = 0;       // its moment, from the first event
    mutable std::int64_t compute_ns_ = std::numeric_limits<std::int64_t>::min();
};

template <class Events>
void QueueMarks<Events>::provide(std::size_t count) {
    if (count <= noted_.size()) {
        return;
    }
    while (resolved_ < next_) {
        resolve_next();
    }
    // Events of a ring of another size are others: the chain of neighbours begins anew.
    events_.provide(count);
    noted_.assign(count, {});
    recorded_ = looked_at_ = 1;
    passed_ = 0;
    events_.record(passed_, events_.compute());
    events_.wait(passed_);
    first_.reset();
    rate_ = 1;
    device_ns_ = 0;
    static_cast<void>(rest_mark());
}

template <class Events>
typename QueueMarks<Events>::Noted& QueueMarks<Events>::note(std::size_t event,
                                                             bool computes) noexcept {
    // A ring that is too small costs a wait, not a wrong time.
    while (next_ - resolved_ >= static_cast<Mark>(noted_.size())) {
        resolve_next();
    }
    Noted& noted = at(next_++);
    noted = {events_.host_ns(), event, computes, 0};
    return noted;
}

template <class Events>
std::size_t QueueMarks<Events>::record(const Stream& stream) noexcept {
    const std::size_t event = recorded_ % noted_.size();
    // The newest one that was looked at is still needed, for the time to its neighbour.
    while (recorded_ - looked_at_ >= noted_.size() || (event == passed_ && resolved_ < next_)) {
        resolve_next();
    }
    events_.record(event, stream);
    ++recorded_;
    return event;
}

template <class Events>
Mark QueueMarks<Events>::replay(Captured& captured) noexcept {
    const auto needed = [&] {
        return resolved_ <= captured.last ||
               std::find(captured.events.begin(), captured.events.end(), passed_) !=
                   captured.events.end();
    };
    while (resolved_ < next_ && needed()) {
        resolve_next();
    }
    const Mark first = next_;
    for (const std::size_t event : captured.events) {
        static_cast<void>(note(event, true));
    }
    captured.last = next_ - 1;
    return first;
}

template <class Events>
Mark QueueMarks<Events>::mark_on(const Stream& stream) noexcept {
    if (capture_) {
        capture_->push_back(events_.record_captured());
        return -static_cast<Mark>(capture_->size());
    }
    const bool computes = &stream == &events_.compute();
    static_cast<void>(note(record(stream), computes));
    return next_ - 1;
}

template <class Events>
Mark QueueMarks<Events>::host_mark() noexcept {
    if (capture_) {
        return -static_cast<Mark>(capture_->size());
    }
    static_cast<void>(note(none, true));
    return next_ - 1;
}

// An event on an idle device happens between two readings of the host's clock, a few microseconds
// apart; of several tries the closest pair says it best.
template <class Events>
Mark QueueMarks<Events>::rest_mark() noexcept {
    constexpr int tries = 8;
    constexpr double baseline_ns = 2e9;  // a rate from less would be worse than none
    std::int64_t closest_ns = std::numeric_limits<std::int64_t>::max();
    while (resolved_ < next_) {
        resolve_next();
    }
    for (int i = 0; i <= tries; ++i) {
        const std::int64_t before_ns = events_.host_ns();
        const std::size_t event = record(events_.compute());
        events_.wait(event);
        const std::int64_t after_ns = events_.host_ns();
        pass(event);
        // The first one may have waited for work.
        if (i > 0 && after_ns - before_ns < closest_ns) {
            closest_ns = after_ns - before_ns;
            newest_ = {device_ns_, before_ns + closest_ns / 2};
        }
    }
    if (!first_) {
        first_ = newest_;
    } else if (const double device_ns = newest_.device_ns - first_->device_ns;
               device_ns >= baseline_ns) {
        rate_ = static_cast<double>(newest_.host_ns - first_->host_ns) / device_ns;
    }
    compute_ns_ = on_host(device_ns_);
    note(none, true).moment_ns = compute_ns_;
    resolved_ = next_;
    return next_ - 1;
}

template <class Events>
void QueueMarks<Events>::pass(std::size_t event) const noexcept {
    device_ns_ += events_.elapsed_ns(passed_, event);
    passed_ = event;
    looked_at_ += event < noted_.size() ? 1U : 0U;
}

template <class Events>
void QueueMarks<Events>::resolve_next() const noexcept {
    const Mark mark = resolved_++;
    Noted& noted = at(mark);
    if (noted.event == none) {
        compute_ns_ = std::max(compute_ns_, noted.host_ns);
        noted.moment_ns = compute_ns_;
        return;
    }
    if (!noted.computes || mark > waited_) {
        wait_for(mark);
    }
    pass(noted.event);
    noted.moment_ns = on_host(device_ns_);
    if (noted.computes) {
        // The clocks agree to a microsecond, a stream's order is certain.
        compute_ns_ = std::max(compute_ns_, noted.moment_ns);
        noted.moment_ns = compute_ns_;
    }
}

// On what computes, an event of the ring behind the mark: that a host waits for the newest launch
// of a graph when it waits for an event in it, nobody says.
template <class Events>
void QueueMarks<Events>::wait_for(Mark mark) const noexcept {
    if (!at(mark).computes) {
        events_.wait(at(mark).event);
        return;
    }
    Mark later = mark;
    while (later < next_ && !(at(later).computes && at(later).event < noted_.size())) {
        ++later;
    }
    waited_ = later < next_ ? later : mark;
    events_.wait(at(waited_).event);
}

template <class Events>
std::int64_t QueueMarks<Events>::nanoseconds(Mark mark) const noexcept {
    if (mark >= resolved_ && mark < next_) {
        // One wait serves all events of a stream up to there.
        Mark newest = mark;
        while (newest >= resolved_ && (at(newest).event == none || !at(newest).computes)) {
            --newest;
        }
        if (newest >= resolved_) {
            wait_for(newest);
        }
        while (resolved_ <= mark) {
            resolve_next();
        }
    }
    const bool there = mark > 0 && mark < next_ && next_ - mark <= static_cast<Mark>(noted_.size());
    return there ? at(mark).moment_ns : 0;
}

}  // namespace layerledger::cuda
