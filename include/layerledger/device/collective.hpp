// The port through which gradients are summed over all ranks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "layerledger/base/ids.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/timeline/span.hpp"

namespace layerledger {

/// How a rank that fails inside an iteration tells the others so: by one number that travels behind
/// the last bucket.
enum class Votes : unsigned char {
    none,     ///< it cannot: it ends the job
    at_once,  ///< the number can be read after `join` without holding up the device
    late,     ///< `join` sends it to the host, which reads it some iterations later
};

/// Sums buckets over all ranks on a communication stream of its own, in the order of `start`.
/// Every rank starts the same buckets in the same order.
class Collective {
public:
    virtual ~Collective() = default;

    /// "mpi", "nccl" or "none".
    [[nodiscard]] virtual const char* name() const noexcept = 0;

    [[nodiscard]] virtual Votes votes() const noexcept { return Votes::none; }
    /// Votes::late: the next `join` sends the number that is at `vote` by then into one of
    /// `vote_slots`. It may still be on its way there when `join` returns, and until it can be had
    /// from `vote(slot)` only the next sum may change it.
    virtual void send_vote(DeviceSpan /*vote*/, std::size_t /*slot*/) {}
    /// What was sent into `slot` last; waits until it is there.
    [[nodiscard]] virtual float vote(std::size_t /*slot*/) const { return 0; }
    static constexpr std::size_t vote_slots = 8;

    /// The gradients in `values` exist (or will, when the compute stream gets here): sum them in
    /// place. Returns at once. `span` is filled in by the time `join` returns and must live till
    /// then.
    virtual void start(BucketId bucket, DeviceSpan values, BucketSpan& span) = 0;

    /// What messages call the iteration until the next `join`, which counts on; 0 at first.
    virtual void count_from(std::int64_t /*iteration*/) {}

    /// Holds the compute stream until every started bucket is summed.
    /// Throws Error when a deadline passes or a rank is lost, naming the bucket.
    virtual void join() = 0;
};

}  // namespace layerledger
