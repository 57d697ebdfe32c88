#include "layerledger/timeline/recorder.hpp"

#include "layerledger/base/contract.hpp"

namespace layerledger {

Recorder::Recorder(MarkSource& source, const Extents& extents, std::size_t capacity)
    // One iteration is open, `latency` are in flight, one more waits to be taken.
    : source_(source), extents_(extents), ring_(static_cast<std::size_t>(source.latency()) + 2) {
    for (Slot& slot : ring_) {
        slot.spans.reserve(capacity + 1);  // one for the end of the iteration
    }
    set_buckets(extents.buckets);
}

void Recorder::set_buckets(std::size_t buckets) {
    LL_EXPECT(begun_ == 0);
    extents_.buckets = buckets;
    for (Slot& slot : ring_) {
        slot.buckets.resize(buckets);
        slot.spans.reserve(slot.spans.capacity() + buckets);  // each is started once
    }
}

void Recorder::begin_iteration(std::int64_t iteration, Level level) {
    LL_EXPECT(open_ == nullptr);
    LL_EXPECT(begun_ - closed_ < ring_.size());
    Slot& slot = ring_[begun_ % ring_.size()];
    ++begun_;
    slot.iteration = iteration;
    slot.level = level;
    slot.spans.clear();
    if (!previous_end_) {
        pause_ended();
    }
    slot.window_start = *previous_end_;
    open_ = &slot;
}

BucketSpan& Recorder::bucket(BucketId bucket) noexcept {
    LL_EXPECT(open_ != nullptr);
    return open_->buckets[bucket.index()];
}

void Recorder::add(const Span& span) noexcept {
    if (open_->spans.size() == open_->spans.capacity()) {
        ++dropped_;
        return;
    }
    open_->spans.push_back(span);
}

void Recorder::end_iteration() noexcept {
    LL_EXPECT(open_ != nullptr);
    {
        const auto measuring = activity(Activity::measurement);
        const std::int64_t preempted_ns = source_.preempted_ns();
        open_->preempted_ns = preempted_ns - std::exchange(preempted_before_ns_, preempted_ns);
    }
    open_->window_end = source_.mark();
    previous_end_ = open_->window_end;
    open_ = nullptr;
    ++ended_;
}

std::optional<ClosedIteration> Recorder::take_closed() {
    const auto latency = static_cast<std::size_t>(source_.latency());
    return ended_ - closed_ > latency ? drain() : std::nullopt;
}

void Recorder::pause_ended() noexcept {
    preempted_before_ns_ = source_.preempted_ns();
    previous_end_ = source_.mark();
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
    spans.preempted_ns = slot.preempted_ns;
    if (communicated) {
        spans.buckets = slot.buckets;
    }
    return {slot.iteration, slot.level, close_account(spans, extents_)};
}

}  // namespace layerledger
