// How the gradients are cut into the pieces that are all-reduced at once.
#pragma once

#include <cstddef>
#include <vector>

#include "layerledger/base/ids.hpp"
#include "layerledger/train/arena.hpp"

namespace layerledger {

struct Bucket {
    BucketId id;
    Slice slice;
    std::vector<LayerId> layers;  ///< whose gradients it holds, in backward order
    /// The bucket is complete when the backward pass of this layer is.
    [[nodiscard]] LayerId last_layer() const { return layers.back(); }
};

/// Cuts the arena into buckets of at most `limit` floats, in backward order. A bucket ends when it is
/// full, or at the end of a layer when it is at least half full: so small layers travel together, a
/// large one travels in pieces, and a large one does not wait for its small neighbour.
[[nodiscard]] std::vector<Bucket> plan_buckets(const ArenaPlan& arena, std::size_t limit);

}  // namespace layerledger
