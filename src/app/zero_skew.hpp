// What the all-reduce of each bucket takes when no rank is late: the baseline of the run.
#pragma once

#include <vector>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/device/collective.hpp"
#include "layerledger/train/bucket_plan.hpp"

namespace layerledger {

/// Sums zeros of each bucket's size a few times right after a barrier, outside all windows.
/// Microseconds by bucket, the median of this rank; NaN where marks are not there at once, as on a
/// device of its own. Collective.
[[nodiscard]] std::vector<double> measure_zero_skew(const Communicator& world, Backend& backend,
                                                    Collective& collective,
                                                    const std::vector<Bucket>& buckets);

}  // namespace layerledger
