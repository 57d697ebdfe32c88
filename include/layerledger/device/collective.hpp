// The port through which gradients are summed over all ranks.
#pragma once

#include "layerledger/base/ids.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/timeline/span.hpp"

namespace layerledger {

/// Sums buckets over all ranks on a communication stream of its own, in the order of `start`.
/// Every rank starts the same buckets in the same order.
class Collective {
public:
    virtual ~Collective() = default;

    /// "mpi", "nccl" or "none".
    [[nodiscard]] virtual const char* name() const noexcept = 0;

    /// Whether what travels behind the last bucket can be read after `join` without holding up the
    /// device: then a rank that fails inside an iteration tells the others so.
    [[nodiscard]] virtual bool carries_votes() const noexcept { return false; }

    /// The gradients in `values` exist (or will, when the compute stream gets here): sum them in
    /// place. Returns at once. `span` is filled in by the time `join` returns and must live till
    /// then.
    virtual void start(BucketId bucket, DeviceSpan values, BucketSpan& span) = 0;

    /// Holds the compute stream until every started bucket is summed.
    /// Throws Error when a deadline passes or a rank is lost, naming the bucket.
    virtual void join() = 0;
};

}  // namespace layerledger
