#include "nccl_communicator.hpp"

#include <cstdlib>
#include <span>
#include <thread>
#include <utility>

#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "nccl_meeting_place.hpp"

namespace layerledger::cuda {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds nap{1};
constexpr std::chrono::milliseconds patience{2};
constexpr std::chrono::seconds farewell{5};

std::string reason_of(ncclResult_t status, ncclComm_t comm) {
    const char* more = ncclGetLastError(comm);
    return text(ncclGetErrorString(status), more == nullptr || *more == '\0' ? "" : ": ",
                more == nullptr ? "" : more);
}

/// A setting of NCCL's, unless the user has made it.
void suggest(const char* name, const std::string& value) {
    constexpr int keep = 0;
    ::setenv(name, value.c_str(), keep);
}

// NCCL refuses two ranks with the same GPU on the same host, and tells hosts apart by this name.
// What runs between such "hosts" are sockets; few and simple kernels, since the ranks' kernels wait
// for each other on one GPU.
void pretend_to_be_a_node(const RankMap& rank, bool one_node) {
    suggest("NCCL_HOSTID", text(rank.host, "-r", rank.local_rank));
    suggest("NCCL_IB_DISABLE", "1");
    suggest("NCCL_MNNVL_ENABLE", "0");
    suggest("NCCL_ALGO", "Ring");
    suggest("NCCL_PROTO", "Simple");
    suggest("NCCL_MAX_CTAS", "2");
    if (one_node) {
        suggest("NCCL_SOCKET_IFNAME", "lo");
    }
}

}  // namespace

NcclCommunicator::NcclCommunicator(const Communicator& world, const RankMap& rank, bool shared_gpu,
                                   std::chrono::nanoseconds deadline)
    : deadline_(deadline) {
    if (shared_gpu) {
        pretend_to_be_a_node(rank, world.size() == rank.local_size);
    }
    ncclUniqueId id{};
    world.agree_on_root([&] {
        const ncclResult_t status = ncclGetUniqueId(&id);
        if (status != ncclSuccess) {
            throw Error(ExitCode::internal,
                        {"NCCL", static_cast<int>(status), "ncclGetUniqueId(&id)"},
                        reason_of(status, nullptr));
        }
    });
    world.broadcast(std::as_writable_bytes(std::span(&id, 1)));

    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    settle(ncclCommInitRankConfig(&comm_, world.size(), id, world.rank(), &config),
           "ncclCommInitRankConfig", [&] {
               const std::string place = meeting_place(id, world.rank());
               return text("making NCCL's communicator",
                           place.empty() ? "" : text(" (", place, ")"));
           });
}

NcclCommunicator::~NcclCommunicator() {
    if (comm_ == nullptr) {
        return;
    }
    ncclResult_t status = ncclCommFinalize(comm_);
    const auto until = Clock::now() + farewell;
    while (status == ncclInProgress && Clock::now() < until) {
        std::this_thread::sleep_for(nap);
        if (ncclCommGetAsyncError(comm_, &status) != ncclSuccess) {
            break;
        }
    }
    if (status == ncclSuccess) {
        static_cast<void>(ncclCommDestroy(comm_));
    } else {
        abort();
    }
}

void NcclCommunicator::all_reduce_sum(DeviceSpan values, cudaStream_t stream,
                                      const NameOfWait& what) {
    settle(ncclAllReduce(values.data, values.data, values.size, ncclFloat, ncclSum, comm_, stream),
           "ncclAllReduce", what);
}

void NcclCommunicator::settle(ncclResult_t status, const char* expression, const NameOfWait& what) {
    const auto begun = Clock::now();
    while (status == ncclInProgress) {
        const auto waited = Clock::now() - begun;
        if (waited > deadline_) {
            abort();
            throw DeadlineError(
                ExitCode::internal,
                text(what(), " is not there after ",
                     std::chrono::duration<double>(deadline_).count(),
                     " s (a rank or the network between the nodes is missing) look at the "
                     "log of the other ranks, try NCCL_DEBUG=INFO, or choose the network between "
                     "the nodes by NCCL_SOCKET_IFNAME"));
        }
        // A sum is enqueued by a thread of NCCL's in some ten microseconds; connecting takes
        // longer.
        if (waited < patience) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(nap);
        }
        const ncclResult_t asked = ncclCommGetAsyncError(comm_, &status);
        status = asked == ncclSuccess ? status : asked;
    }
    if (status != ncclSuccess) {
        const std::string reason = text(what(), ": ", reason_of(status, comm_));
        const LibraryCall call{"NCCL", static_cast<int>(status), expression};
        abort();
        if (status == ncclRemoteError) {
            throw DeadlineError(ExitCode::internal, call, reason);
        }
        throw Error(ExitCode::internal, call, reason);
    }
}

ReportedFault NcclCommunicator::fault() const {
    ncclResult_t status = ncclSuccess;
    if (comm_ == nullptr) {
        return {};  // whoever aborted it knows why
    }
    const ncclResult_t asked = ncclCommGetAsyncError(comm_, &status);
    status = asked == ncclSuccess ? status : asked;
    if (status == ncclSuccess || status == ncclInProgress) {
        return {};
    }
    return {reason_of(status, comm_), status == ncclRemoteError};
}

void NcclCommunicator::abort() noexcept {
    if (comm_ == nullptr) {
        return;
    }
    // It can hang in the driver, and whoever calls it has a deadline to keep.
    try {
        std::thread([comm = std::exchange(comm_, nullptr)] {
            static_cast<void>(ncclCommAbort(comm));
        }).detach();
    } catch (const std::exception& error) {
        log::error(text("NCCL's communicator could not be aborted (", error.what(), ")"));
    }
}

}  // namespace layerledger::cuda
