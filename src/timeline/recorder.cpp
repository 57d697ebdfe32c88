#include "layerledger/timeline/recorder.hpp"

#include <algorithm>
#include <cstddef>

#include "layerledger/base/contract.hpp"

namespace layerledger {
namespace {

constexpr std::size_t most_copies = 2;  // of one iteration

}  // namespace

Recorder::Recorder(MarkSource& source, const Extents& extents, std::size_t capacity)
    // One iteration is open, `latency` are in flight, one more waits to be taken.
    : source_(source), extents_(extents), ring_(static_cast<std::size_t>(source.latency()) + 2) {
    for (Slot& slot : ring_) {
        slot.spans.reserve(2 * capacity + 1);  // a gap before each and one at the end
        slot.copies.reserve(most_copies);
    }
    set_buckets(extents.buckets);
}

void Recorder::set_buckets(std::size_t buckets) {
    LL_EXPECT(begun_ == 0);
    extents_.buckets = buckets;
    for (Slot& slot : ring_) {
        slot.buckets.resize(buckets);
        slot.spans.reserve(slot.spans.capacity() + 2 * buckets);  // each is started once
    }
    source_.reserve(2 * ring_.front().spans.capacity() + 4 * buckets + 2 * most_copies);
}

Recorder::Scope Recorder::begin_iteration(std::int64_t iteration, Level level) {
    LL_EXPECT(open_ == nullptr);
    LL_EXPECT(begun_ - closed_ < ring_.size());
    if (!previous_end_) {
        pause_ended();
    }
    const bool lost = level >= Level::layer && source_.lost_processor();
    const Mark begun = source_.queues() ? *previous_end_ : source_.mark();
    Slot& slot = ring_[begun_ % ring_.size()];
    ++begun_;
    slot.iteration = iteration;
    slot.level = level;
    slot.spans.clear();
    slot.copies.clear();
    slot.window_start = *previous_end_;
    open_ = &slot;
    if (lost) {
        add(idle_gap(begun));
    }
    return {*this, activity_span(Activity::measurement), begun};
}

BucketSpan& Recorder::bucket(BucketId bucket) noexcept {
    LL_EXPECT(open_ != nullptr);
    BucketSpan& span = open_->buckets[bucket.index()];
    span = BucketSpan{};
    span.is_wanted = open_->level >= Level::iteration;
    return span;
}

CopySpan* Recorder::copy() noexcept {
    if (at_least(Level::iteration) == nullptr) {
        return nullptr;
    }
    if (open_->copies.size() == open_->copies.capacity()) {
        ++dropped_;
        return nullptr;
    }
    return &open_->copies.emplace_back();
}

void Recorder::start(Span& span) noexcept {
    if (source_.queues() && open_->level >= Level::layer) {
        span.start = gap_start_;
        if (span.kind == SpanKind::layer || span.kind == SpanKind::op) {
            span.launch = source_.host_mark();
        }
    } else if (span.kind == SpanKind::op) {
        span.start = source_.mark();
    } else {
        span.start = continues_pass(span) ? gap_start_ : end_gap();
    }
}

// Whatever can happens before the end's mark, so that its cost is the span's and not a gap's: the
// store with its cache miss, and what the processor's watch has to ask about the span.
void Recorder::finish(const Span& span) noexcept {
    Span& kept = add(span);
    if (span.kind == SpanKind::op) {
        kept.end = source_.mark();
        if (source_.queues()) {
            gap_start_ = kept.end;
        }
        return;
    }
    const bool on_host = ends_on_host(span);
    if (span.kind == SpanKind::layer) {
        pass_ = span.phase;
    } else if (!continues_pass(span)) {
        pass_.reset();
    }
    source_.lost_processor();
    kept.end = on_host ? source_.host_mark() : source_.mark();
    start_gap(kept.end);
}

bool Recorder::ends_on_host(const Span& span) const noexcept {
    switch (span.kind) {
        case SpanKind::layer: return gap_start_ != span.start;  // operations were marked in it
        case SpanKind::op: return false;
        case SpanKind::join:
            // With one rank alone every sum is there at once.
            return std::ranges::all_of(open_->buckets, [](const BucketSpan& bucket) {
                return bucket.end == bucket.ready;
            });
        case SpanKind::activity:
            return span.index == static_cast<std::int32_t>(Activity::measurement) ||
                   span.index == static_cast<std::int32_t>(Activity::input_wait) ||
                   span.index == static_cast<std::int32_t>(Activity::idle_launch);
    }
    return false;
}

// The processor is watched from behind the mark that starts a gap to before the mark that ends it:
// a loss inside a span never excuses a gap.
void Recorder::start_gap(Mark start) noexcept {
    gap_start_ = start;
    source_.lost_processor();
}

Mark Recorder::end_gap() noexcept {
    const bool lost = open_->level >= Level::layer && source_.lost_processor();
    const Mark end = source_.mark();
    if (lost) {
        add(idle_gap(end));
    }
    return end;
}

Span Recorder::idle_gap(Mark end) const noexcept {
    Span gap = activity_span(Activity::idle_other);
    gap.start = gap_start_;
    gap.end = end;
    return gap;
}

Span& Recorder::add(const Span& span) noexcept {
    if (open_->spans.size() == open_->spans.capacity()) {
        ++dropped_;
        return dropped_span_;
    }
    return open_->spans.emplace_back(span);
}

bool Recorder::continues_pass(const Span& span) const noexcept {
    const bool launches = span.kind == SpanKind::activity &&
                          span.index == static_cast<std::int32_t>(Activity::idle_launch);
    return pass_ && (launches || (span.kind == SpanKind::layer && span.phase == *pass_));
}

void Recorder::begin_capture() noexcept {
    LL_EXPECT(open_ != nullptr);
    before_capture_ = {open_->spans.size(), gap_start_, pass_};
}

std::vector<Span> Recorder::end_capture() {
    const auto first = open_->spans.begin() + static_cast<std::ptrdiff_t>(before_capture_.spans);
    std::vector<Span> captured(first, open_->spans.end());
    open_->spans.erase(first, open_->spans.end());
    gap_start_ = before_capture_.gap_start;
    pass_ = before_capture_.pass;
    return captured;
}

// Captured work begins where the newest span ended, and the host launches all of it at once.
void Recorder::replayed(std::span<const Span> captured, Mark first, Mark host) noexcept {
    const Mark before = gap_start_;
    const auto again = [&](Mark mark) { return mark < 0 ? first - mark - 1 : before; };
    for (const Span& span : captured) {
        Span& kept = add(span);
        kept.start = again(span.start);
        kept.end = again(span.end);
        kept.with_previous = kept.start != before;
        kept.launch = kept.with_previous ? 0 : host;
        if (span.kind == SpanKind::layer) {
            pass_ = span.phase;
        }
        gap_start_ = kept.end;
    }
}

void Recorder::end_iteration() noexcept {
    LL_EXPECT(open_ != nullptr);
    open_->window_end = source_.queues() ? gap_start_ : end_gap();
    start_gap(open_->window_end);
    pass_.reset();
    previous_end_ = open_->window_end;
    source_.iteration_ended();
    open_ = nullptr;
    ++ended_;
}

std::optional<ClosedIteration> Recorder::take_closed() {
    const auto latency = static_cast<std::size_t>(source_.latency());
    return ended_ - closed_ > latency ? drain() : std::nullopt;
}

void Recorder::pause_ended() noexcept {
    previous_end_ = source_.rest_mark();
    start_gap(*previous_end_);
}

std::optional<ClosedIteration> Recorder::drain() {
    if (closed_ == ended_) {
        return std::nullopt;
    }
    Slot& slot = ring_[closed_ % ring_.size()];
    ++closed_;
    return close(slot);
}

ClosedIteration Recorder::close(Slot& slot) {
    IterationSpans spans;
    // The newest mark first: to wait for it is to wait for all.
    spans.window_end_ns = source_.nanoseconds(slot.window_end);
    spans.window_start_ns = source_.nanoseconds(slot.window_start);
    const auto resolve = [this](Mark& mark) { mark = source_.nanoseconds(mark); };
    for (Span& span : slot.spans) {
        if (span.kind == SpanKind::layer && source_.queues()) {
            span.enqueued_ns = source_.made_ns(span.end);
        }
        resolve(span.start);
        resolve(span.end);
        if (span.launch != 0) {
            resolve(span.launch);
        }
    }
    for (CopySpan& copy : slot.copies) {
        resolve(copy.start);
        resolve(copy.end);
    }
    const bool communicated = slot.level >= Level::iteration && !slot.buckets.empty();
    if (communicated) {
        for (BucketSpan& bucket : slot.buckets) {
            resolve(bucket.ready);
            resolve(bucket.start);
            resolve(bucket.transfer);
            resolve(bucket.end);
        }
    }
    spans.level = slot.level;
    spans.compute = slot.spans;
    spans.copies = slot.copies;
    if (communicated) {
        spans.buckets = slot.buckets;
    }
    return {slot.iteration, slot.level, close_account(spans, extents_)};
}

}  // namespace layerledger
