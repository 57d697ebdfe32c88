// What the stand-in for CUPTI gives.
#pragma once

#include <cupti.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace layerledger::testing {

struct FakeCupti {
    std::uint32_t version = CUPTI_API_VERSION;
    CUptiResult refusal = CUPTI_SUCCESS;  ///< of enabling
    std::vector<CUpti_ActivityKernel10> kernels;
    std::vector<CUpti_ActivityMemcpy6> copies;
    std::vector<CUpti_ActivityMemset4> fills;
    std::size_t dropped = 0;
    std::size_t enabled = 0;  ///< kinds that are recorded now
};

}  // namespace layerledger::testing
