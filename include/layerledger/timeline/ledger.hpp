// The account of one iteration: every nanosecond in exactly one place.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "layerledger/timeline/span.hpp"

namespace layerledger {

/// A time that was not measured. Never 0.
inline constexpr float absent = std::numeric_limits<float>::quiet_NaN();

/// How detailed the record of an iteration is.
enum class Level : unsigned char {
    off,        ///< the iteration's duration and what layerledger took of it
    iteration,  ///< and the activities
    layer,      ///< and each layer's phases; the account closes
    op,         ///< and each operation's phases
    kernel,     ///< layers as above, and in a few iterations each kernel in them
};

/// The extents of one iteration's record: how many of each there are.
struct Extents {
    std::size_t layers = 0;
    std::size_t ops = 0;  ///< 0 unless operations are recorded
    std::size_t buckets = 0;
};

/// The closed account of one iteration on one rank. Times are microseconds; `absent` where nothing
/// was measured. layer_time[layer * 3 + phase], starts count from the iteration's start.
struct Account {
    explicit Account(const Extents& extents);

    std::int64_t start_ns = 0;  ///< on the rank's steady clock
    float iteration_time = absent;
    float unaccounted = absent;
    float allreduce_hidden = absent;  ///< all-reduce under some layer's work; a shadow, never added
    float memcpy_hidden = absent;     ///< copies of the input beside memcpy_h2d; a shadow too
    float launch_bound = absent;      ///< layers that the device had to wait in; a shadow too
    /// From the first copy to the device in the iteration to the last, and from it; the copy of the
    /// input may have begun before the iteration.
    float h2d_start = absent, h2d_end = absent, d2h_start = absent, d2h_end = absent;
    std::array<float, activity_count> activity_time{};
    std::vector<float> layer_time, layer_start;
    std::vector<float> op_time;
    std::vector<float> bucket_ready, bucket_start, bucket_transfer, bucket_end;
};

/// What the ledger gets: spans in resolved nanoseconds, the window from the end of the previous
/// iteration to the end of this one.
struct IterationSpans {
    std::int64_t window_start_ns = 0;
    std::int64_t window_end_ns = 0;
    Level level = Level::layer;
    std::span<const Span> compute;
    std::span<const BucketSpan> buckets;
    std::span<const CopySpan> copies = {};
};

/// Closes the account of one iteration.
///
/// Spans of one stream do not overlap (operations lie inside layers and are not added). What a layer
/// and its operations waited for the host to launch them is idle_launch instead. A join is split by
/// what the buckets did meanwhile: transfer where any bucket is in transfer, else wait where any
/// bucket waits for the slowest rank, else idle_sync. What no span covers is unaccounted, so that
/// iteration_time = sum(layers) + sum(activities) + unaccounted.
/// What a device waited between the launches of one layer no mark tells. But where it ends a layer
/// as soon as the host has enqueued it, it had caught up with the host: such layers' time is
/// launch_bound.
/// At levels below `layer` unaccounted is absent, because layers were not looked at.
[[nodiscard]] Account close_account(const IterationSpans& iteration, const Extents& extents);

}  // namespace layerledger
