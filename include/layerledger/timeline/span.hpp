// Intervals of time, as a backend marks them and as the ledger reads them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "layerledger/base/phase.hpp"
#include "layerledger/timeline/activity.hpp"

namespace layerledger {

/// An instant. Nanoseconds on the rank's steady clock once resolved; before that whatever the
/// backend uses for "the moment when the stream gets here" (on a GPU the number of an event).
using Mark = std::int64_t;

/// What happened during a span.
enum class SpanKind : unsigned char {
    layer,     ///< `index` is a layer, `phase` one of three
    op,        ///< the same for an operation; lies inside its layer's span
    activity,  ///< `index` is an Activity that held the compute stream up
    join,      ///< the compute stream waited for the gradients' all-reduce
};

/// One interval on the compute stream.
struct Span {
    SpanKind kind = SpanKind::layer;
    Phase phase = Phase::forward;
    std::int32_t index = 0;
    Mark start = 0;
    Mark end = 0;
    /// Of layers and operations: when the host began to enqueue its work. Until then the device had
    /// nothing to do: that is no time of the layer's. 0: at its start.
    Mark launch = 0;
    /// Of layers: when the host had enqueued it all, in nanoseconds. 0: nothing is enqueued.
    std::int64_t enqueued_ns = 0;
    /// Enqueued together with the span before it: the device waits for nothing between or inside.
    bool with_previous = false;
};

/// A copy between host and device on a stream of its own.
struct CopySpan {
    Mark start = 0;
    Mark end = 0;
};

/// The life of one gradient bucket on the communication stream, on this rank.
struct BucketSpan {
    Mark ready = 0;     ///< its last gradient exists
    Mark start = 0;     ///< this rank enters the collective
    Mark transfer = 0;  ///< the last rank has entered: from here on it is transfer
    Mark end = 0;       ///< the sum is here
    /// False where nobody asks when: no mark is made then, and nothing done for one.
    bool is_wanted = true;
};

/// Where marks come from: a backend's clock and streams.
class MarkSource {
public:
    virtual ~MarkSource() = default;

    /// Notes "now" on the compute stream.
    [[nodiscard]] virtual Mark mark() noexcept = 0;

    /// Whether the device works through a queue. Then nothing lies between two marks but what was
    /// enqueued between them, and each mark holds it up for a moment.
    [[nodiscard]] virtual bool queues() const noexcept { return false; }

    /// "Now" where nothing was enqueued on the compute stream since its newest mark: the later of
    /// that mark and the host's now. It does not hold the device up.
    [[nodiscard]] virtual Mark host_mark() noexcept { return mark(); }

    /// "Now" once the device has nothing to do; waits for that.
    [[nodiscard]] virtual Mark rest_mark() noexcept { return mark(); }

    /// Turns a mark into nanoseconds on the rank's steady clock. May be called `latency()`
    /// iterations after the mark was made.
    [[nodiscard]] virtual std::int64_t nanoseconds(Mark mark) const noexcept = 0;

    /// When the host made a mark that is not overwritten, on the same clock.
    [[nodiscard]] virtual std::int64_t made_ns(Mark mark) const noexcept {
        return nanoseconds(mark);
    }

    /// How many iterations late marks can be resolved without waiting: 0 on CPUs, 2 on GPUs.
    [[nodiscard]] virtual int latency() const noexcept = 0;

    /// How many marks an iteration makes at most. Before the first iteration.
    virtual void reserve(std::size_t /*marks_per_iteration*/) {}

    /// No mark of this iteration follows: whoever asks for one of them waits until here.
    virtual void iteration_ended() noexcept {}

    /// Whether since the previous call the processor was taken from the calling thread, which had
    /// work to do; always false where nobody knows. Costs next to nothing while the answer is no.
    virtual bool lost_processor() noexcept { return false; }
};

}  // namespace layerledger
