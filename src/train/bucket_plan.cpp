#include "layerledger/train/bucket_plan.hpp"

#include <algorithm>

#include "layerledger/base/contract.hpp"

namespace layerledger {

std::vector<Bucket> plan_buckets(const ArenaPlan& arena, std::size_t limit) {
    LL_EXPECT(limit > 0);
    std::vector<Bucket> buckets;
    Bucket open;
    const auto close = [&] {
        const std::size_t next = open.slice.end();
        open.id = BucketId(buckets.size());
        buckets.push_back(std::move(open));
        open = {};
        open.slice.offset = next;
    };
    for (std::size_t layer = arena.layers.size(); layer-- > 0;) {
        const Slice& slice = arena.layers[layer];
        for (std::size_t taken = 0; taken < slice.size;) {
            const std::size_t piece = std::min(slice.size - taken, limit - open.slice.size);
            open.slice.size += piece;
            open.layers.push_back(LayerId(layer));
            taken += piece;
            const bool layer_ends = taken == slice.size;
            if (open.slice.size == limit || (layer_ends && open.slice.size * 2 >= limit)) {
                close();
            }
        }
    }
    if (open.slice.size > 0) {
        close();
    }
    return buckets;
}

}  // namespace layerledger
