// Annotations as NVTX ranges, which Nsight Systems shows and maps to the kernels that were launched
// inside. NVTX is headers only: what listens loads itself into the process.
#pragma once

#include <nvtx3/nvToolsExt.h>

#include <array>
#include <vector>

#include "layerledger/device/annotations.hpp"

namespace layerledger::cuda {

class NvtxAnnotations final : public Annotations {
public:
    NvtxAnnotations();
    ~NvtxAnnotations() override;

    void name(const Network& network, std::size_t buckets) override;

    /// "iteration", with its number as the payload: no text is made while training.
    void enter_iteration(std::int64_t iteration) noexcept override;
    void enter(LayerId layer, Phase phase) noexcept override;  ///< "conv1 forward"
    void enter(BucketId bucket) noexcept override;             ///< "all-reduce of bucket 2"
    void leave() noexcept override;

private:
    void push(nvtxStringHandle_t name, std::int64_t number) noexcept;

    nvtxDomainHandle_t domain_;  // null where nobody listens
    nvtxStringHandle_t iteration_ = nullptr;
    std::vector<std::array<nvtxStringHandle_t, 3>> layers_;
    std::vector<nvtxStringHandle_t> buckets_;
};

}  // namespace layerledger::cuda
