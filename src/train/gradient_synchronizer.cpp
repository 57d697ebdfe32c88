#include "layerledger/train/gradient_synchronizer.hpp"

#include "layerledger/base/contract.hpp"

namespace layerledger {

GradientSynchronizer::GradientSynchronizer(Collective& collective, Annotations& annotations,
                                           Recorder& recorder, Buffer& gradients,
                                           std::vector<Bucket> buckets)
    : collective_(collective),
      annotations_(annotations),
      recorder_(recorder),
      gradients_(gradients),
      buckets_(std::move(buckets)) {}

void GradientSynchronizer::gradients_ready(LayerId layer) {
    for (; next_ < buckets_.size() && buckets_[next_].last_layer() == layer; ++next_) {
        start(buckets_[next_]);
    }
}

void GradientSynchronizer::start(const Bucket& bucket) {
    BucketSpan& span = recorder_.bucket(bucket.id);
    span.ready = recorder_.bucket_ready();
    // Waking the communication stream may cost the compute stream its turn.
    const auto launching = recorder_.launch(span.ready);
    const Annotation annotation(annotations_, bucket.id);
    const std::size_t vote = bucket.id == buckets_.back().id ? vote_floats : 0;
    collective_.start(
        bucket.id, gradients_.span().subspan(bucket.slice.offset, bucket.slice.size + vote), span);
}

bool GradientSynchronizer::give_up() {
    if (next_ == buckets_.size() || !collective_.carries_votes()) {
        return false;
    }
    const float vote = 1;
    gradients_.upload(buckets_.back().slice.end(), {&vote, vote_floats});
    for (; next_ < buckets_.size(); ++next_) {
        start(buckets_[next_]);
    }
    return true;
}

bool GradientSynchronizer::join() {
    LL_EXPECT(next_ == buckets_.size());
    collective_.join();
    next_ = 0;
    float votes = 0;
    if (!buckets_.empty() && collective_.carries_votes()) {
        gradients_.download(buckets_.back().slice.end(), {&votes, vote_floats});
    }
    return votes == 0;
}

}  // namespace layerledger
