// CUPTI, NVIDIA's library that records what a GPU does. It is loaded when it is asked for, so that
// nothing depends on it.
#pragma once

#include <cupti.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "layerledger/timeline/kernel_account.hpp"

namespace layerledger::cuda {

/// What of CUPTI is used.
struct CuptiFunctions {
    decltype(&cuptiGetVersion) get_version = nullptr;
    decltype(&cuptiGetResultString) get_result_string = nullptr;
    decltype(&cuptiActivityRegisterCallbacks) register_callbacks = nullptr;
    decltype(&cuptiActivityEnable) enable = nullptr;
    decltype(&cuptiActivityDisable) disable = nullptr;
    decltype(&cuptiActivityFlushAll) flush_all = nullptr;
    decltype(&cuptiActivityGetNextRecord) get_next_record = nullptr;
    decltype(&cuptiActivityGetNumDroppedRecords) get_num_dropped_records = nullptr;
};

/// A record of CUPTI's as one of ours; nothing for kinds that are not asked for.
[[nodiscard]] std::optional<DeviceRecord> device_record(const CUpti_Activity& activity);

/// The files to try for CUPTI, in order: where the linker looks, then beside `neighbour`, a library
/// of CUDA's, as the toolkit and as Python's packages place it.
[[nodiscard]] std::vector<std::string> cupti_candidates(const std::string& neighbour);

/// Records between `start` and `stop`. CUPTI has no place for an owner in its callbacks: there is
/// at most one of these in a process.
class CuptiSession {
public:
    /// Loads the first of `candidates` that can be. Throws Error{unavailable}.
    explicit CuptiSession(const std::vector<std::string>& candidates);
    CuptiSession(const CuptiSession&) = delete;
    CuptiSession& operator=(const CuptiSession&) = delete;
    ~CuptiSession();

    /// Throws Error{unavailable} where it is not allowed, or another tool uses CUPTI.
    void start();
    /// The device must have nothing to do.
    [[nodiscard]] DeviceRecords stop();

private:
    static void give_buffer(std::uint8_t** buffer, std::size_t* size, std::size_t* most_records);
    static void take_buffer(CUcontext context, std::uint32_t stream, std::uint8_t* buffer,
                            std::size_t size, std::size_t filled);
    void read(std::uint8_t* buffer, std::size_t filled, std::size_t dropped) noexcept;
    void check(CUptiResult result, const char* what) const;

    CuptiFunctions cupti_;
    std::mutex mutex_;  // CUPTI hands buffers over from a thread of its own
    DeviceRecords seen_;
    bool is_started_ = false;
};

}  // namespace layerledger::cuda
