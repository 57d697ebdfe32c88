// NCCL's communicator over all ranks, in its non-blocking form: every wait in it has a deadline.
#pragma once

#include <nccl.h>

#include <chrono>
#include <string>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/comm/rank_map.hpp"
#include "layerledger/device/backend.hpp"
#include "sum_failure.hpp"

namespace layerledger::cuda {

/// Not thread-safe, as NCCL's communicators are not: the user excludes.
class NcclCommunicator {
public:
    /// Collective. `shared_gpu`: ranks of a node share a GPU, which NCCL refuses unless each is
    /// made to look like a node of its own. Before the process' first use of NCCL.
    NcclCommunicator(const Communicator& world, const RankMap& rank, bool shared_gpu,
                     std::chrono::nanoseconds deadline);
    NcclCommunicator(const NcclCommunicator&) = delete;
    NcclCommunicator& operator=(const NcclCommunicator&) = delete;
    /// Waits for the other ranks, but not long.
    ~NcclCommunicator();

    /// Enqueues a sum in place: of gradients, whose mean the optimizer's update makes of it on its
    /// way (`OptimizerStep::gradient_scale`), whoever summed. `what` names it in the message where
    /// that does not succeed.
    void all_reduce_sum(DeviceSpan values, cudaStream_t stream, const NameOfWait& what);

    /// What went wrong behind the caller's back ("remote error: ...").
    [[nodiscard]] ReportedFault fault() const;

    /// Ends what is on the device; nothing else may be called after it.
    void abort() noexcept;

private:
    void settle(ncclResult_t status, const char* expression, const NameOfWait& what);

    std::chrono::nanoseconds deadline_;
    ncclComm_t comm_ = nullptr;
};

}  // namespace layerledger::cuda
