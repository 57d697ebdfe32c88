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
    if (next_ == buckets_.size() || votes() == Votes::none) {
        return false;
    }
    if (sent_) {
        static_cast<void>(collective_.vote(*sent_));  // else the copy could find this one instead
    }
    const float vote = 1;
    gradients_.upload(vote_place(), {&vote, vote_floats});
    for (; next_ < buckets_.size(); ++next_) {
        start(buckets_[next_]);
    }
    return true;
}

bool GradientSynchronizer::join(std::size_t slot) {
    LL_EXPECT(next_ == buckets_.size());
    if (votes() == Votes::late) {
        collective_.send_vote(gradients_.span().subspan(vote_place(), vote_floats), slot);
        sent_ = slot;
    }
    collective_.join();
    next_ = 0;
    float against = 0;
    if (votes() == Votes::at_once) {
        gradients_.download(vote_place(), {&against, vote_floats});
    }
    return against == 0;
}

bool GradientSynchronizer::went_well(std::size_t slot) const {
    return votes() != Votes::late || collective_.vote(slot) == 0;
}

}  // namespace layerledger
