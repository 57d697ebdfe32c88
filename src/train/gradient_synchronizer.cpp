#include "layerledger/train/gradient_synchronizer.hpp"

#include "layerledger/base/contract.hpp"

namespace layerledger {

GradientSynchronizer::GradientSynchronizer(Collective& collective, MarkSource& marks,
                                           Recorder& recorder, DeviceSpan gradients,
                                           std::vector<Bucket> buckets)
    : collective_(collective),
      marks_(marks),
      recorder_(recorder),
      gradients_(gradients),
      buckets_(std::move(buckets)) {}

void GradientSynchronizer::gradients_ready(LayerId layer) {
    for (; next_ < buckets_.size() && buckets_[next_].last_layer() == layer; ++next_) {
        const Bucket& bucket = buckets_[next_];
        BucketSpan& span = recorder_.bucket(bucket.id);
        span.ready = marks_.mark();
        // Waking the communication stream may cost the compute stream its turn.
        const auto launching = recorder_.activity(Activity::idle_launch);
        collective_.start(bucket.id, gradients_.subspan(bucket.slice.offset, bucket.slice.size),
                          span);
    }
}

void GradientSynchronizer::join() {
    LL_EXPECT(next_ == buckets_.size());
    collective_.join();
    next_ = 0;
}

}  // namespace layerledger
