// Starts the all-reduce of every bucket at the moment its last gradient exists.
#pragma once

#include <vector>

#include "layerledger/device/collective.hpp"
#include "layerledger/timeline/recorder.hpp"
#include "layerledger/train/bucket_plan.hpp"

namespace layerledger {

class GradientSynchronizer {
public:
    /// All but `buckets` must outlive this. `gradients` is the whole arena.
    GradientSynchronizer(Collective& collective, MarkSource& marks, Recorder& recorder,
                         DeviceSpan gradients, std::vector<Bucket> buckets);

    /// The backward pass of `layer` is done (or enqueued): starts the buckets that it completes.
    void gradients_ready(LayerId layer);

    /// Holds the compute stream until all gradients are summed.
    void join();

    [[nodiscard]] const std::vector<Bucket>& buckets() const noexcept { return buckets_; }

private:
    Collective& collective_;
    MarkSource& marks_;
    Recorder& recorder_;
    DeviceSpan gradients_;
    std::vector<Bucket> buckets_;
    std::size_t next_ = 0;  // buckets are completed in order
};

}  // namespace layerledger
