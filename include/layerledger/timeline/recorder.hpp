// Collects the marks of an iteration as it runs. Nothing here allocates, waits or formats while an
// iteration is under way.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "layerledger/base/ids.hpp"
#include "layerledger/timeline/ledger.hpp"
#include "layerledger/timeline/span.hpp"

namespace layerledger {

/// A closed account together with the iteration that it belongs to.
struct ClosedIteration {
    std::int64_t iteration = 0;
    Level level = Level::off;
    Account account;
};

class Recorder {
public:
    /// Marks the start of a span when made and its end when it goes out of scope.
    class [[nodiscard]] Scope {
    public:
        Scope(Recorder* recorder, Span span) noexcept : recorder_(recorder), span_(span) {
            if (recorder_ != nullptr) {
                recorder_->start(span_);
            }
        }
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;
        ~Scope() {
            if (recorder_ != nullptr) {
                recorder_->finish(span_);
            }
        }

    private:
        friend class Recorder;
        Scope(Recorder& recorder, Span span, Mark start) noexcept
            : recorder_(&recorder), span_(span) {
            span_.start = start;
        }

        Recorder* recorder_;
        Span span_;
    };

    /// `source` must outlive the recorder. `capacity` is the largest number of spans in one
    /// iteration, beside one for each bucket and the gaps between them; spans beyond it are dropped
    /// and counted.
    Recorder(MarkSource& source, const Extents& extents, std::size_t capacity);

    /// How many buckets the gradients travel in; known only once the network is laid out. Before
    /// the first iteration.
    void set_buckets(std::size_t buckets);

    /// Opens an iteration at the end of the previous one, or, after `pause_ended`, there. The scope
    /// is the recorder's own work (Activity::measurement), which begins here. Where the device
    /// works through a queue, nothing may be enqueued between two iterations but in a pause.
    Scope begin_iteration(std::int64_t iteration, Level level);

    /// A layer starts where the layer before it in the same pass ended, or where the launch of a
    /// bucket between the two did: one mark serves both. What runs there, the loop and any
    /// interrupt, is the later span's; callers do nothing else there. Where the device works
    /// through a queue every span at Level::layer starts where the one before it ended, since
    /// nothing is enqueued between them.
    Scope layer(LayerId layer, Phase phase) noexcept {
        return {at_least(Level::layer), {SpanKind::layer, phase, layer.value}};
    }
    Scope op(OpId op, Phase phase) noexcept {
        return {at_least(Level::op), {SpanKind::op, phase, op.value}};
    }
    Scope activity(Activity activity) noexcept {
        // What layerledger itself takes is noted at every level: even `off` has to own up to it.
        const Level least = activity == Activity::measurement ? Level::off : Level::iteration;
        return {at_least(least), activity_span(activity)};
    }
    /// A bucket is ready: the end of the layer that made it so, where layers are marked, else now.
    [[nodiscard]] Mark bucket_ready() noexcept {
        return at_least(Level::iteration) == nullptr || pass_ ? gap_start_ : source_.mark();
    }
    /// The launch of a bucket's all-reduce (Activity::idle_launch), from the moment it is ready.
    Scope launch(Mark ready) noexcept {
        const Span span = activity_span(Activity::idle_launch);
        if (at_least(Level::iteration) == nullptr) {
            return {nullptr, span};
        }
        return {*this, span, ready};
    }
    /// The wait of the compute stream for the gradients.
    Scope join() noexcept {
        return {at_least(Level::iteration), {SpanKind::join, Phase::backward, 0}};
    }

    /// From here on spans are of work that is captured and not done; their marks are negative, the
    /// n-th is -n.
    void begin_capture() noexcept;
    /// Takes these spans out of the iteration.
    [[nodiscard]] std::vector<Span> end_capture();
    /// Says them again: `launch` enqueues the work, and returns the first of its marks.
    template <class Launch>
    void replay(std::span<const Span> captured, const Launch& launch) {
        const Mark host = captured.empty() ? 0 : source_.host_mark();
        replayed(captured, launch(), host);
    }

    /// The slot that the communication stream fills in; stays valid until the iteration is closed.
    [[nodiscard]] BucketSpan& bucket(BucketId bucket) noexcept;

    /// A copy of this iteration's input, whose marks the caller fills in; it stays valid until the
    /// iteration is closed. Null where nobody asks.
    [[nodiscard]] CopySpan* copy() noexcept;

    /// Behind the last span: where the device works through a queue, nothing is enqueued between.
    void end_iteration() noexcept;

    /// The oldest ended iteration whose marks can be resolved without waiting. Closing an account
    /// costs time: call this inside the next iteration, under Activity::measurement.
    [[nodiscard]] std::optional<ClosedIteration> take_closed();

    /// Training paused (validation, checkpoint): time until now is in no window.
    void pause_ended() noexcept;

    /// What `take_closed` still held back, oldest first. Call it when the device is idle.
    [[nodiscard]] std::optional<ClosedIteration> drain();

    /// Spans that did not fit, over the whole run. 0 unless a backend marks more than it announced.
    [[nodiscard]] std::int64_t dropped() const noexcept { return dropped_; }

private:
    struct Slot {
        std::int64_t iteration = 0;
        Level level = Level::off;
        Mark window_start = 0;
        Mark window_end = 0;
        std::vector<Span> spans;  // capacity fixed at construction
        std::vector<BucketSpan> buckets;
        std::vector<CopySpan> copies;  // the same
    };

    [[nodiscard]] static Span activity_span(Activity activity) noexcept {
        return {SpanKind::activity, Phase::forward, static_cast<std::int32_t>(activity)};
    }
    [[nodiscard]] Recorder* at_least(Level level) noexcept {
        return open_ != nullptr && open_->level >= level ? this : nullptr;
    }
    void start(Span& span) noexcept;
    void finish(const Span& span) noexcept;
    Span& add(const Span& span) noexcept;

    void replayed(std::span<const Span> captured, Mark first, Mark host) noexcept;

    [[nodiscard]] bool continues_pass(const Span& span) const noexcept;
    /// Has the compute stream got nothing to do since the newest mark, when `span` ends?
    [[nodiscard]] bool ends_on_host(const Span& span) const noexcept;

    /// A gap lies between spans that do not share a mark, operations aside: it starts at the end of
    /// a span or of the previous window. If the processor was lost in it, it is not unaccounted but
    /// idle_other.
    void start_gap(Mark start) noexcept;
    [[nodiscard]] Mark end_gap() noexcept;
    [[nodiscard]] Span idle_gap(Mark end) const noexcept;

    [[nodiscard]] ClosedIteration close(Slot& slot);

    MarkSource& source_;
    Extents extents_;
    std::vector<Slot> ring_;
    std::size_t begun_ = 0;  // iterations opened so far
    std::size_t ended_ = 0;
    std::size_t closed_ = 0;  // iterations handed out so far
    Slot* open_ = nullptr;
    std::optional<Mark> previous_end_;
    Mark gap_start_ = 0;         // the newest end of a span
    std::optional<Phase> pass_;  // of the layers that a next one would follow without a gap
    /// What holds where a capture begins, and again where it ends.
    struct BeforeCapture {
        std::size_t spans = 0;
        Mark gap_start = 0;
        std::optional<Phase> pass;
    };
    BeforeCapture before_capture_;
    std::int64_t dropped_ = 0;
    Span dropped_span_;  // written where there is no place
};

}  // namespace layerledger
