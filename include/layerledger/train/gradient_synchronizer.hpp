// Starts the all-reduce of every bucket at the moment its last gradient exists. One float more
// travels behind the last bucket: whether a rank had to give up. So the ranks agree on a failure
// inside an iteration without a message of their own.
#pragma once

#include <optional>
#include <vector>

#include "layerledger/device/collective.hpp"
#include "layerledger/timeline/recorder.hpp"
#include "layerledger/train/bucket_plan.hpp"

namespace layerledger {

class GradientSynchronizer {
public:
    /// Floats of `gradients` behind the arena.
    static constexpr std::size_t vote_floats = 1;

    /// All but `buckets` must outlive this. `gradients` is the whole arena and the vote behind it.
    GradientSynchronizer(Collective& collective, Annotations& annotations, Recorder& recorder,
                         Buffer& gradients, std::vector<Bucket> buckets);

    /// The next iteration's number, where it is not 0.
    void count_from(std::int64_t iteration) { collective_.count_from(iteration); }

    /// The backward pass of `layer` is done (or enqueued): starts the buckets that it completes.
    void gradients_ready(LayerId layer);

    /// This rank has no gradients: starts the buckets that are left, so that nobody waits for them
    /// in vain. False where none is left to tell the others with, or the collective cannot.
    [[nodiscard]] bool give_up();

    /// Holds the compute stream until all gradients are summed. False, on every rank, where one
    /// gave up and that is known already: then the gradients mean nothing.
    [[nodiscard]] bool join(std::size_t slot);
    /// The same of the last `join` with `slot`, later: false where it is known only now. Waits
    /// until that is summed.
    [[nodiscard]] bool went_well(std::size_t slot) const;

    [[nodiscard]] const std::vector<Bucket>& buckets() const noexcept { return buckets_; }

private:
    void start(const Bucket& bucket);
    [[nodiscard]] std::size_t vote_place() const noexcept { return buckets_.back().slice.end(); }
    [[nodiscard]] Votes votes() const noexcept {
        return buckets_.empty() ? Votes::none : collective_.votes();
    }

    Collective& collective_;
    Annotations& annotations_;
    Recorder& recorder_;
    Buffer& gradients_;
    std::vector<Bucket> buckets_;
    std::size_t next_ = 0;             // buckets are completed in order
    std::optional<std::size_t> sent_;  // the slot of the newest vote, where votes come late
};

}  // namespace layerledger
