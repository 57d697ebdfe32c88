// The port through which a device's kernels and copies are seen one by one.
#pragma once

#include "layerledger/timeline/kernel_account.hpp"
#include "layerledger/timeline/span.hpp"

namespace layerledger {

/// Sees what a device does between `start` and `stop`. That slows the device down, and the host
/// more: few iterations are watched, and their times are not reported.
class KernelWatch {
public:
    virtual ~KernelWatch() = default;

    virtual void start() = 0;
    /// Enqueues a kernel that does nothing and a mark right behind it, which is returned.
    [[nodiscard]] virtual Mark anchor() = 0;
    /// Waits for the device.
    [[nodiscard]] virtual DeviceRecords stop() = 0;
};

}  // namespace layerledger
