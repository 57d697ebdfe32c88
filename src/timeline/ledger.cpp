#include "layerledger/timeline/ledger.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "layerledger/base/contract.hpp"
#include "layerledger/timeline/intervals.hpp"

namespace layerledger {
namespace {

float microseconds(std::int64_t ns) {
    return static_cast<float>(static_cast<double>(ns) / 1000.0);
}

/// What the buckets of an iteration did on the communication stream, as sets of time.
struct Communication {
    std::vector<Interval> transfer;  ///< some bucket was on its way
    std::vector<Interval> wait;      ///< else: some bucket waited for the slowest rank
};

Communication communication_of(std::span<const BucketSpan> buckets) {
    std::vector<Interval> transfer;
    std::vector<Interval> wait;
    for (const BucketSpan& bucket : buckets) {
        wait.push_back({bucket.start, bucket.transfer});
        transfer.push_back({bucket.transfer, bucket.end});
    }
    transfer = united(std::move(transfer));
    wait = difference(united(std::move(wait)), transfer);
    return {transfer, wait};
}

/// How long the device waited for the host in a span.
std::int64_t starved_ns(const Span& span) {
    return std::clamp(span.launch, span.start, span.end) - span.start;
}

/// The time of copies beside the spans in which the compute stream waited for one.
std::int64_t hidden_copies_ns(std::span<const CopySpan> copies, std::vector<Interval> exposed) {
    std::vector<Interval> all;
    for (const CopySpan& copy : copies) {
        all.push_back({copy.start, copy.end});
    }
    return total_length(difference(united(std::move(all)), united(std::move(exposed))));
}

/// A device that is busy ends a layer long after the host has enqueued it. One that waits for the
/// host ends it a launch (5 to 10 us) and a last short kernel later.
bool has_caught_up(const Span& span) {
    constexpr std::int64_t soon_ns = 20'000;
    return !span.with_previous && span.end - span.enqueued_ns < soon_ns;
}

/// From the first of some spans to the last.
class Reach {
public:
    void add(std::int64_t start_ns, std::int64_t end_ns) {
        start_ns_ = is_empty_ ? start_ns : std::min(start_ns_, start_ns);
        end_ns_ = is_empty_ ? end_ns : std::max(end_ns_, end_ns);
        is_empty_ = false;
    }
    /// In microseconds from `origin_ns`; nothing where there was no span.
    void put(std::int64_t origin_ns, float& start, float& end) const {
        if (!is_empty_) {
            start = microseconds(start_ns_ - origin_ns);
            end = microseconds(end_ns_ - origin_ns);
        }
    }

private:
    std::int64_t start_ns_ = 0, end_ns_ = 0;
    bool is_empty_ = true;
};

/// Adds one span to a quantity that is absent until its first span.
void add(float& quantity, std::int64_t ns) {
    quantity = std::isnan(quantity) ? microseconds(ns) : quantity + microseconds(ns);
}

/// A float holds microseconds of a long iteration to about a nanosecond only if it is summed once:
/// totals are kept in integers and converted at the end.
struct Totals {
    std::array<std::int64_t, activity_count> activity_ns{};
    std::int64_t layers_ns = 0;

    [[nodiscard]] std::int64_t accounted_ns() const {
        std::int64_t sum = layers_ns;
        for (const std::int64_t ns : activity_ns) {
            sum += ns;
        }
        return sum;
    }
};

}  // namespace

Account::Account(const Extents& extents)
    : layer_time(extents.layers * phases.size(), absent),
      layer_start(extents.layers * phases.size(), absent),
      op_time(extents.ops * phases.size(), absent),
      bucket_ready(extents.buckets, absent),
      bucket_start(extents.buckets, absent),
      bucket_transfer(extents.buckets, absent),
      bucket_end(extents.buckets, absent) {
    activity_time.fill(absent);
}

Account close_account(const IterationSpans& iteration, const Extents& extents) {
    LL_EXPECT(iteration.window_end_ns >= iteration.window_start_ns);
    Account account(extents);
    account.start_ns = iteration.window_start_ns;
    const std::int64_t wall_ns = iteration.window_end_ns - iteration.window_start_ns;
    account.iteration_time = microseconds(wall_ns);
    std::vector<Interval> joins;
    std::vector<Interval> exposed_copies;
    Reach to_device;
    Reach from_device;
    std::int64_t operations_starved_ns = 0;  // of the layer that comes next
    Totals totals;
    for (const Span& span : iteration.compute) {
        const std::int64_t ns = span.end - span.start;
        const auto item = static_cast<std::size_t>(span.index);
        switch (span.kind) {
            case SpanKind::layer: {
                // A layer starts with its first operation: what both waited is counted once.
                const std::int64_t starved =
                    std::max(starved_ns(span), std::exchange(operations_starved_ns, 0));
                const std::size_t cell = item * phases.size() + index(span.phase);
                add(account.layer_time.at(cell), ns - starved);
                if (std::isnan(account.layer_start[cell])) {
                    account.layer_start[cell] =
                        microseconds(span.start + starved_ns(span) - account.start_ns);
                }
                totals.layers_ns += ns - starved;
                if (span.enqueued_ns != 0) {
                    add(account.launch_bound, has_caught_up(span) ? ns - starved : 0);
                }
                totals.activity_ns[index(Activity::idle_launch)] += starved;
                break;
            }
            case SpanKind::op:
                if (extents.ops > 0) {
                    add(account.op_time.at(item * phases.size() + index(span.phase)),
                        ns - starved_ns(span));
                }
                operations_starved_ns += starved_ns(span);
                break;
            case SpanKind::activity:
                totals.activity_ns.at(item) += ns;
                if (item == index(Activity::memcpy_h2d)) {
                    exposed_copies.push_back({span.start, span.end});
                }
                // Where copies have a stream of their own, the compute stream only waits for them.
                if (item == index(Activity::memcpy_h2d) && iteration.copies.empty()) {
                    to_device.add(span.start, span.end);
                } else if (item == index(Activity::memcpy_d2h)) {
                    from_device.add(span.start, span.end);
                }
                break;
            case SpanKind::join: joins.push_back({span.start, span.end}); break;
        }
    }

    if (iteration.level == Level::off) {
        account.activity_time[index(Activity::measurement)] =
            microseconds(totals.activity_ns[index(Activity::measurement)]);
        return account;
    }

    const Communication communication = communication_of(iteration.buckets);
    joins = united(std::move(joins));
    const std::int64_t joined_ns = total_length(joins);
    const std::int64_t transfer_ns = total_length(intersection(joins, communication.transfer));
    const std::int64_t wait_ns = total_length(intersection(joins, communication.wait));
    totals.activity_ns[index(Activity::allreduce_transfer)] += transfer_ns;
    totals.activity_ns[index(Activity::allreduce_wait)] += wait_ns;
    totals.activity_ns[index(Activity::idle_sync)] += joined_ns - transfer_ns - wait_ns;
    for (std::size_t i = 0; i < activity_count; ++i) {
        account.activity_time[i] = microseconds(totals.activity_ns[i]);
    }

    account.allreduce_hidden =
        microseconds(total_length(communication.transfer) + total_length(communication.wait) -
                     transfer_ns - wait_ns);
    for (const CopySpan& copy : iteration.copies) {
        to_device.add(copy.start, copy.end);
    }
    to_device.put(account.start_ns, account.h2d_start, account.h2d_end);
    from_device.put(account.start_ns, account.d2h_start, account.d2h_end);
    if (!iteration.copies.empty()) {
        account.memcpy_hidden =
            microseconds(hidden_copies_ns(iteration.copies, std::move(exposed_copies)));
    }
    for (std::size_t i = 0; i < iteration.buckets.size(); ++i) {
        const BucketSpan& bucket = iteration.buckets[i];
        account.bucket_ready[i] = microseconds(bucket.ready - account.start_ns);
        account.bucket_start[i] = microseconds(bucket.start - account.start_ns);
        account.bucket_transfer[i] = microseconds(bucket.transfer - account.start_ns);
        account.bucket_end[i] = microseconds(bucket.end - account.start_ns);
    }
    if (iteration.level >= Level::layer) {
        account.unaccounted = microseconds(wall_ns - totals.accounted_ns());
    }
    return account;
}

}  // namespace layerledger
