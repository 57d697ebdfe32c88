#include "layerledger/timeline/recorder.hpp"

#include "layerledger/base/contract.hpp"

namespace layerledger {

Recorder::Recorder(MarkSource& source, const Extents& extents, std::size_t capacity)
    // One iteration is open, `latency` are in flight, one more waits to be taken.
    : source_(source), extents_(extents), ring_(static_cast<std::size_t>(source.latency()) + 2) {
    for (Slot& slot : ring_) {
        slot.spans.reserve(2 * capacity + 1);  // a gap before each and one at the end
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
    source_.reserve(2 * ring_.front().spans.capacity() + 4 * buckets);
}

Recorder::Scope Recorder::begin_iteration(std::int64_t iteration, Level level) {
    LL_EXPECT(open_ == nullptr);
    LL_EXPECT(begun_ - closed_ < ring_.size());
    if (!previous_end_) {
        pause_ended();
    }
    const bool lost = level >= Level::layer && source_.lost_processor();
    const Mark begun = source_.mark();
    Slot& slot = ring_[begun_ % ring_.size()];
    ++begun_;
    slot.iteration = iteration;
    slot.level = level;
    slot.spans.clear();
    slot.window_start = *previous_end_;
    open_ = &slot;
    if (lost) {
        add(idle_gap(begun));
    }
    return {*this, activity_span(Activity::measurement), begun};
}

BucketSpan& Recorder::bucket(BucketId bucket) noexcept {
    LL_EXPECT(open_ != nullptr);
    return open_->buckets[bucket.index()];
}

Mark Recorder::start(const Span& span) noexcept {
    if (span.kind == SpanKind::op) {
        return source_.mark();
    }
    return continues_pass(span) ? gap_start_ : end_gap();
}

// Whatever can happens before the end's mark, so that its cost is the span's and not a gap's: the
// store with its cache miss, and what the processor's watch has to ask about the span.
void Recorder::finish(const Span& span) noexcept {
    Span& kept = add(span);
    if (span.kind == SpanKind::op) {
        kept.end = source_.mark();
        return;
    }
    if (span.kind == SpanKind::layer) {
        pass_ = span.phase;
    } else if (!continues_pass(span)) {
        pass_.reset();
    }
    source_.lost_processor();
    kept.end = source_.mark();
    start_gap(kept.end);
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

void Recorder::end_iteration() noexcept {
    LL_EXPECT(open_ != nullptr);
    open_->window_end = end_gap();
    start_gap(open_->window_end);
    pass_.reset();
    previous_end_ = open_->window_end;
    open_ = nullptr;
    ++ended_;
}

std::optional<ClosedIteration> Recorder::take_closed() {
    const auto latency = static_cast<std::size_t>(source_.latency());
    return ended_ - closed_ > latency ? drain() : std::nullopt;
}

void Recorder::pause_ended() noexcept {
    previous_end_ = source_.mark();
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
    const auto resolve = [this](Mark& mark) { mark = source_.nanoseconds(mark); };
    for (Span& span : slot.spans) {
        resolve(span.start);
        resolve(span.end);
    }
    const bool communicated = slot.level >= Level::iteration && !slot.buckets.empty();
    for (BucketSpan& bucket : slot.buckets) {
        resolve(bucket.ready);
        resolve(bucket.start);
        resolve(bucket.transfer);
        resolve(bucket.end);
    }
    IterationSpans spans;
    spans.window_start_ns = source_.nanoseconds(slot.window_start);
    spans.window_end_ns = source_.nanoseconds(slot.window_end);
    spans.level = slot.level;
    spans.compute = slot.spans;
    if (communicated) {
        spans.buckets = slot.buckets;
    }
    return {slot.iteration, slot.level, close_account(spans, extents_)};
}

}  // namespace layerledger
