// Marks on the clock of a device that works through queues. What CUDA has to do with it is behind
// `Events`, so that the arithmetic runs without a GPU.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "layerledger/timeline/span.hpp"

namespace layerledger::cuda {

/// Most marks are passed and timed by the device: as events, or on the compute stream, where the
/// device has a clock for it, as stamps, which hold it up less. They take the host longer, so while
/// the device has nothing to do but to wait for the host marks are events again. Where it has
/// nothing to do between two marks, the second is neither: the device would pass it as soon as it
/// is there, hence at the later of the first mark and the host's own now.
///
/// An event's moment is found by adding up the times between neighbours, since CUDA tells the time
/// between two events as a float of milliseconds, which is exact enough only when they are close.
/// A stamp is a moment on a clock that runs as fast, but counts from elsewhere. While the device
/// rests, its clocks are read against each other and the host's: moments are nanoseconds of the
/// host's steady clock, by a line through the first and the newest reading.
///
/// `Events` has a ring of timed events and one of stamps, both numbered from 0, and others beside
/// the rings, of one kind or the other:
///     using Stream = ...;  const Stream& compute();
///     bool stamps();                         whether stamps can be had
///     void provide(n);                       so many of either in the rings
///     size_t add();                          one more beside them
///     void record(event, stream);
///     void stamp(number);                    on the compute stream
///     size_t mark_captured();                in the compute stream's capture, beside the rings
///     void wait(event);                      until it has passed
///     double elapsed_ns(from, to);           both have passed
///     void publish(first, count);            lets the host see stamps of the ring
///     int64_t stamp_ns(number);              has passed and is seen; those beside the ring always
///                                            are
///     void fence(i);  void wait_fence(i);    one of `fences` points of the compute stream that
///                                            can be waited for, and have no time
///     void stall();                          some microseconds of work for the compute stream
///     int64_t host_ns();                     the steady clock
/// None of them throws but `provide` and `add`.
///
/// One thread marks and resolves.
template <class Events>
class QueueMarks final : public MarkSource {
public:
    using Stream = typename Events::Stream;

    /// Takes what `Events` is made from.
    template <class... Arguments>
    explicit QueueMarks(Arguments&&... arguments) : events_(std::forward<Arguments>(arguments)...) {
        if (events_.stamps()) {
            tie_stamp_ = events_.add();
        }
        provide(least);
    }

    [[nodiscard]] Mark mark() noexcept override;
    /// On another stream.
    [[nodiscard]] Mark mark_on(const Stream& stream) noexcept;
    [[nodiscard]] Mark host_mark() noexcept override;
    [[nodiscard]] Mark rest_mark() noexcept override;

    /// Marks of a captured graph, which pass anew whenever it is launched.
    struct Captured {
        std::vector<std::size_t> numbers;  ///< of events or stamps
        Mark last = 0;                     ///< of the newest launch
    };
    /// From here on marks are made in a capture of the compute stream: the n-th is -n. To mark the
    /// host means nothing there.
    void begin_capture() noexcept { capture_.emplace(); }
    [[nodiscard]] std::vector<std::size_t> end_capture() noexcept {
        return *std::exchange(capture_, std::nullopt);
    }
    /// Before a launch: makes its marks, and returns the first.
    [[nodiscard]] Mark replay(Captured& captured) noexcept;

    void iteration_ended() noexcept override;

    [[nodiscard]] Events& events() noexcept { return events_; }

    static constexpr std::size_t fences = 8;  // more than iterations are in flight

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

    /// What says when a mark was passed: the host alone, an event of the compute stream or of
    /// another one, or a stamp.
    enum class Source : unsigned char { host, event, event_beside, stamp };
    struct Noted {
        std::int64_t host_ns = 0;  // when it was made
        Source source = Source::host;
        std::size_t number = 0;  // of the event or the stamp
        std::int64_t moment_ns = 0;
    };
    /// Two clocks at one moment: that of events and another one.
    struct Reading {
        double device_ns = 0;
        std::int64_t other_ns = 0;
    };

    void provide(std::size_t count);
    Noted& note(Source source, std::size_t number) noexcept;
    /// Records the next event of the ring.
    [[nodiscard]] std::size_t record(const Stream& stream) noexcept;
    void resolve_next() const noexcept;
    void wait_for(Mark mark) const noexcept;
    void wait_for_fence(Mark mark) const noexcept;
    void look_for_starving(const Noted& noted) const noexcept;
    /// Marks below this have a fence behind them.
    [[nodiscard]] Mark fenced_before() const noexcept {
        return fenced_ == 0 ? 0 : fenced_before_[(fenced_ - 1) % fences];
    }
    void fence() const noexcept;
    void tie_stamps() noexcept;
    /// The moment of the event behind the last one that was looked at.
    void pass(std::size_t event) const noexcept;

    /// Whether the next mark of the compute stream is a stamp.
    [[nodiscard]] bool stamps_next() const noexcept { return events_.stamps() && starved_ <= 0; }

    [[nodiscard]] Noted& at(Mark mark) const noexcept {
        return noted_[static_cast<std::size_t>(mark) % noted_.size()];
    }
    [[nodiscard]] std::int64_t on_host(double device_ns) const noexcept {
        return newest_.other_ns + std::llround((device_ns - newest_.device_ns) * rate_);
    }

    mutable Events events_;
    std::optional<std::vector<std::size_t>> capture_;
    std::size_t recorded_ = 0;      // events of the ring so far
    std::int64_t recorded_ns_ = 0;  // when the newest of them was
    Mark next_ = 1;                 // the next mark's number; there is no mark 0
    std::optional<Reading> first_;
    Reading newest_;
    Reading tie_;  // of the stamps' clock
    std::size_t tie_stamp_ = 0;
    double rate_ = 1;  // host nanoseconds in one of the device's
    // What has been resolved; the port's `nanoseconds` is const.
    mutable std::vector<Noted> noted_;
    mutable Mark resolved_ = 1;          // marks below this have their moment
    mutable Mark waited_ = 0;            // what computes up to here has passed
    mutable std::size_t looked_at_ = 0;  // events of the ring so far
    mutable std::size_t passed_ = 0;     // the newest event that was looked at
    mutable double device_ns_ = 0;       // its moment, from the first event
    mutable std::int64_t compute_ns_ = std::numeric_limits<std::int64_t>::min();
    mutable std::array<Mark, fences> fenced_before_{};
    mutable std::size_t fenced_ = 0;  // fences so far
    mutable int starved_ = 0;  // marks of late that the device was there for, less the others
    mutable bool is_published_ = true;  // there is no stamp since the newest fence
    mutable Mark published_ = 1;        // stamps of marks below this have been
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
typename QueueMarks<Events>::Noted& QueueMarks<Events>::note(Source source,
                                                             std::size_t number) noexcept {
    // A ring that is too small costs a wait, not a wrong time.
    while (next_ - resolved_ >= static_cast<Mark>(noted_.size())) {
        resolve_next();
    }
    Noted& noted = at(next_++);
    noted = {events_.host_ns(), source, number, 0};
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
    recorded_ns_ = events_.host_ns();
    ++recorded_;
    return event;
}

template <class Events>
Mark QueueMarks<Events>::replay(Captured& captured) noexcept {
    if (captured.numbers.empty()) {
        return next_;  // nothing of an earlier launch is overwritten
    }
    const bool stamps = events_.stamps();
    // A ring that is full must not be found so among these marks: what they stand for is enqueued
    // only once all of them are noted.
    const auto most = static_cast<Mark>(noted_.size() - captured.numbers.size());
    const auto needed = [&] {
        return resolved_ <= captured.last || next_ - resolved_ > most ||
               (!stamps && std::find(captured.numbers.begin(), captured.numbers.end(), passed_) !=
                               captured.numbers.end());
    };
    while (resolved_ < next_ && needed()) {
        resolve_next();
    }
    const Mark first = next_;
    for (const std::size_t number : captured.numbers) {
        note(stamps ? Source::stamp : Source::event, number);
    }
    captured.last = next_ - 1;
    return first;
}

template <class Events>
Mark QueueMarks<Events>::mark() noexcept {
    if (capture_) {
        capture_->push_back(events_.mark_captured());
        return -static_cast<Mark>(capture_->size());
    }
    if (stamps_next()) {
        // Its place in the ring, once the mark that was there before it has been resolved.
        const std::size_t number = static_cast<std::size_t>(next_) % noted_.size();
        note(Source::stamp, number);
        events_.stamp(number);
        is_published_ = false;
    } else {
        note(Source::event, record(events_.compute()));
    }
    return next_ - 1;
}

template <class Events>
Mark QueueMarks<Events>::mark_on(const Stream& stream) noexcept {
    note(Source::event_beside, record(stream));
    return next_ - 1;
}

template <class Events>
Mark QueueMarks<Events>::host_mark() noexcept {
    if (capture_) {
        return -static_cast<Mark>(capture_->size());
    }
    note(Source::host, 0);
    return next_ - 1;
}

// An event, a stamp and an event in a row: the stamp lies between the two, a few microseconds
// apart where the device finds all of them in its queue. Of several tries the closest says it best.
template <class Events>
void QueueMarks<Events>::tie_stamps() noexcept {
    constexpr int tries = 4;
    double closest_ns = std::numeric_limits<double>::max();
    for (int i = 0; i < tries; ++i) {
        events_.stall();
        const std::size_t before = record(events_.compute());
        events_.stamp(tie_stamp_);
        const std::size_t after = record(events_.compute());
        events_.wait(after);
        pass(before);
        const double before_ns = device_ns_;
        pass(after);
        if (device_ns_ - before_ns < closest_ns) {
            closest_ns = device_ns_ - before_ns;
            tie_ = {before_ns + closest_ns / 2, events_.stamp_ns(tie_stamp_)};
        }
    }
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
    if (events_.stamps()) {
        tie_stamps();
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
        rate_ = static_cast<double>(newest_.other_ns - first_->other_ns) / device_ns;
    }
    compute_ns_ = on_host(device_ns_);
    note(Source::host, 0).moment_ns = compute_ns_;
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
    if (noted.source == Source::host) {
        compute_ns_ = std::max(compute_ns_, noted.host_ns);
        noted.moment_ns = compute_ns_;
        return;
    }
    if (noted.source == Source::event_beside || mark > waited_) {
        wait_for(mark);
    }
    if (noted.source == Source::stamp) {
        const std::int64_t since_ns = events_.stamp_ns(noted.number) - tie_.other_ns;
        noted.moment_ns = on_host(tie_.device_ns + static_cast<double>(since_ns));
    } else {
        pass(noted.number);
        noted.moment_ns = on_host(device_ns_);
    }
    if (noted.source != Source::event_beside) {
        look_for_starving(noted);
        // The clocks agree to a microsecond, a stream's order is certain.
        compute_ns_ = std::max(compute_ns_, noted.moment_ns);
        noted.moment_ns = compute_ns_;
    }
}

// On what computes, an event of the ring behind the mark: that a host waits for the newest launch
// of a graph when it waits for an event in it, nobody says.
template <class Events>
void QueueMarks<Events>::wait_for(Mark mark) const noexcept {
    if (at(mark).source == Source::event_beside) {
        events_.wait(at(mark).number);
        return;
    }
    if (events_.stamps()) {
        wait_for_fence(mark);
        return;
    }
    Mark later = mark;
    while (later < next_ &&
           !(at(later).source == Source::event && at(later).number < noted_.size())) {
        ++later;
    }
    waited_ = later < next_ ? later : mark;
    events_.wait(at(waited_).number);
}

// The oldest fence behind it: a newer one would be waited for longer.
template <class Events>
void QueueMarks<Events>::wait_for_fence(Mark mark) const noexcept {
    if (fenced_before() <= mark) {
        fence();
    }
    std::size_t oldest = fenced_ > fences ? fenced_ - fences : 0;
    while (fenced_before_[oldest % fences] <= mark) {
        ++oldest;
    }
    events_.wait_fence(oldest % fences);
    waited_ = fenced_before_[oldest % fences] - 1;
}

// The device was there a moment after the host had made the mark: it had nothing else to do. Many
// marks of one kind in a row count as a few, so that a change is soon seen.
template <class Events>
void QueueMarks<Events>::look_for_starving(const Noted& noted) const noexcept {
    constexpr std::int64_t soon_ns = 20'000;
    constexpr int few = 32;
    if (noted.number < noted_.size()) {  // in a graph the host makes all marks at once
        const bool starved = noted.moment_ns - noted.host_ns < soon_ns;
        starved_ = std::clamp(starved_ + (starved ? 1 : -1), -few, few);
    }
}

template <class Events>
void QueueMarks<Events>::iteration_ended() noexcept {
    if (!events_.stamps()) {
        return;
    }
    // Neighbouring events have to be close, also where there is little need of them.
    constexpr std::int64_t close_ns = 1'000'000'000;
    if (events_.host_ns() - recorded_ns_ > close_ns) {
        note(Source::event, record(events_.compute()));
    }
    if (next_ > fenced_before()) {
        fence();
    }
}

template <class Events>
void QueueMarks<Events>::fence() const noexcept {
    // Those since the fence before, of one ring at most.
    for (Mark mark = std::max(published_, next_ - static_cast<Mark>(noted_.size()));
         !is_published_ && mark < next_;) {
        const std::size_t first = static_cast<std::size_t>(mark) % noted_.size();
        const std::size_t count =
            std::min(static_cast<std::size_t>(next_ - mark), noted_.size() - first);
        events_.publish(first, count);
        mark += static_cast<Mark>(count);
    }
    is_published_ = true;
    published_ = next_;
    events_.fence(fenced_ % fences);
    fenced_before_[fenced_ % fences] = next_;
    ++fenced_;
}

template <class Events>
std::int64_t QueueMarks<Events>::nanoseconds(Mark mark) const noexcept {
    if (mark >= resolved_ && mark < next_) {
        // One wait serves all marks of a stream up to there.
        const auto waits = [&](Mark earlier) {
            return at(earlier).source == Source::event || at(earlier).source == Source::stamp;
        };
        Mark newest = mark;
        while (newest >= resolved_ && !waits(newest)) {
            --newest;
        }
        if (newest >= resolved_ && newest > waited_) {
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
