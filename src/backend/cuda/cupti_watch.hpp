// Kernels and copies of one GPU as CUPTI records them: the KernelWatch port.
#pragma once

#include "cupti_session.hpp"
#include "gpu.hpp"
#include "layerledger/device/kernel_watch.hpp"

namespace layerledger::cuda {

class CuptiWatch final : public KernelWatch {
public:
    /// Proves that records come. Throws Error{unavailable} where they do not.
    explicit CuptiWatch(Gpu& gpu);

    void start() override;
    [[nodiscard]] Mark anchor() override;
    [[nodiscard]] DeviceRecords stop() override;

private:
    Gpu& gpu_;
    CuptiSession session_;
};

}  // namespace layerledger::cuda
