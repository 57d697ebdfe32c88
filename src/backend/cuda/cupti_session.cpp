#include "cupti_session.hpp"

#include <dlfcn.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
namespace {

constexpr int major_version = CUPTI_API_VERSION / 10000;
constexpr std::size_t buffer_bytes = std::size_t{4} << 20U;
constexpr std::size_t buffer_alignment = 8;  // what CUPTI asks for
constexpr std::array kinds{CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY,
                           CUPTI_ACTIVITY_KIND_MEMSET};
constexpr const char* advice = " use profile.level=op";

std::atomic<CuptiSession*> current{nullptr};

[[noreturn]] void refuse(const std::string& why) {
    throw Error(ExitCode::unavailable,
                text("profile.level=kernel cannot see kernels (", why, ")", advice));
}

// What marks are made with is no work of the training.
std::optional<DeviceWork> work_of(const char* kernel) {
    if (kernel == nullptr) {
        return DeviceWork::kernel;
    }
    if (std::strstr(kernel, "ledger_stamp") != nullptr) {
        return std::nullopt;
    }
    if (std::strstr(kernel, "ledger_anchor") != nullptr) {
        return DeviceWork::anchor;
    }
    return std::strstr(kernel, "nccl") != nullptr ? DeviceWork::communication : DeviceWork::kernel;
}

std::optional<DeviceWork> work_of(std::uint8_t copy_kind) {
    switch (copy_kind) {
        case CUPTI_ACTIVITY_MEMCPY_KIND_HTOD: return DeviceWork::copy_h2d;
        case CUPTI_ACTIVITY_MEMCPY_KIND_DTOH: return DeviceWork::copy_d2h;
        case CUPTI_ACTIVITY_MEMCPY_KIND_DTOD: return DeviceWork::copy_d2d;
        default: return std::nullopt;
    }
}

template <class Function>
void find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    if (function == nullptr) {
        refuse(text("CUPTI has no function ", name));
    }
}

// Never closed: CUPTI's threads go on until the process ends.
void* load(const std::vector<std::string>& candidates) {
    std::string first_reason;
    for (const std::string& candidate : candidates) {
        if (void* library = dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL)) {
            return library;
        }
        const char* reason = dlerror();
        if (first_reason.empty() && reason != nullptr) {
            first_reason = reason;
        }
    }
    refuse(text("CUPTI was not found: ", first_reason,
                "; it comes with CUDA's toolkit, in extras/CUPTI, and as Python's package "
                "nvidia-cuda-cupti: put its folder into LD_LIBRARY_PATH"));
}

CuptiFunctions functions_of(void* library) {
    CuptiFunctions cupti;
    find(library, "cuptiGetVersion", cupti.get_version);
    find(library, "cuptiGetResultString", cupti.get_result_string);
    find(library, "cuptiActivityRegisterCallbacks", cupti.register_callbacks);
    find(library, "cuptiActivityEnable", cupti.enable);
    find(library, "cuptiActivityDisable", cupti.disable);
    find(library, "cuptiActivityFlushAll", cupti.flush_all);
    find(library, "cuptiActivityGetNextRecord", cupti.get_next_record);
    find(library, "cuptiActivityGetNumDroppedRecords", cupti.get_num_dropped_records);
    return cupti;
}

}  // namespace

std::optional<DeviceRecord> device_record(const CUpti_Activity& activity) {
    // Newer versions of a record only append to it.
    const auto timed = [](DeviceWork work, const auto& record, std::uint64_t bytes) {
        return DeviceRecord{work, static_cast<std::int64_t>(record.start),
                            static_cast<std::int64_t>(record.end),
                            static_cast<std::int64_t>(bytes)};
    };
    switch (activity.kind) {
        case CUPTI_ACTIVITY_KIND_KERNEL:
        case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
            const auto& kernel = reinterpret_cast<const CUpti_ActivityKernel10&>(activity);
            const std::optional<DeviceWork> work = work_of(kernel.name);
            return work ? std::optional(timed(*work, kernel, 0)) : std::nullopt;
        }
        case CUPTI_ACTIVITY_KIND_MEMCPY: {
            const auto& copy = reinterpret_cast<const CUpti_ActivityMemcpy6&>(activity);
            const std::optional<DeviceWork> work = work_of(copy.copyKind);
            return work ? std::optional(timed(*work, copy, copy.bytes)) : std::nullopt;
        }
        case CUPTI_ACTIVITY_KIND_MEMSET: {
            const auto& fill = reinterpret_cast<const CUpti_ActivityMemset4&>(activity);
            return timed(DeviceWork::fill, fill, fill.bytes);
        }
        default: return std::nullopt;
    }
}

std::vector<std::string> cupti_candidates(const std::string& neighbour) {
    const std::string name = text("libcupti.so.", major_version);
    std::vector<std::string> candidates{name};
    if (const std::size_t slash = neighbour.rfind('/'); slash != std::string::npos) {
        const std::string folder = neighbour.substr(0, slash);
        for (const char* there : {"/", "/../extras/CUPTI/lib64/", "/../../cuda_cupti/lib/"}) {
            candidates.push_back(text(folder, there, name));
        }
    }
    return candidates;
}

CuptiSession::CuptiSession(const std::vector<std::string>& candidates)
    : cupti_(functions_of(load(candidates))) {
    std::uint32_t version = 0;
    check(cupti_.get_version(&version), "cuptiGetVersion");
    if (version / 10000 != major_version) {
        refuse(text("CUPTI of CUDA ", version / 10000, " was found, this program needs that of ",
                    major_version));
    }
    CuptiSession* none = nullptr;
    if (!current.compare_exchange_strong(none, this)) {
        refuse("they are watched already");
    }
    try {
        check(cupti_.register_callbacks(give_buffer, take_buffer),
              "cuptiActivityRegisterCallbacks");
    } catch (...) {
        current = nullptr;
        throw;
    }
}

CuptiSession::~CuptiSession() {
    if (is_started_) {
        for (const CUpti_ActivityKind kind : kinds) {
            static_cast<void>(cupti_.disable(kind));
        }
    }
    current = nullptr;
}

void CuptiSession::check(CUptiResult result, const char* what) const {
    if (result == CUPTI_SUCCESS) {
        return;
    }
    const char* name = nullptr;
    static_cast<void>(cupti_.get_result_string(result, &name));
    std::string reason = text(what, ": ", name == nullptr ? "unknown error" : name);
    if (result == CUPTI_ERROR_INSUFFICIENT_PRIVILEGES ||
        result == CUPTI_ERROR_VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES) {
        reason += "; the driver lets administrators only, or the machine's owner has to allow it";
    } else if (result == CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED) {
        reason += "; another profiler is at work in this process";
    }
    refuse(reason);
}

void CuptiSession::start() {
    {
        const std::lock_guard lock(mutex_);
        seen_ = {};
    }
    is_started_ = true;
    for (const CUpti_ActivityKind kind : kinds) {
        check(cupti_.enable(kind), "cuptiActivityEnable");
    }
}

DeviceRecords CuptiSession::stop() {
    check(cupti_.flush_all(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED), "cuptiActivityFlushAll");
    for (const CUpti_ActivityKind kind : kinds) {
        check(cupti_.disable(kind), "cuptiActivityDisable");
    }
    is_started_ = false;
    const std::lock_guard lock(mutex_);
    return std::exchange(seen_, {});
}

void CuptiSession::give_buffer(std::uint8_t** buffer, std::size_t* size,
                               std::size_t* most_records) {
    *buffer = static_cast<std::uint8_t*>(std::aligned_alloc(buffer_alignment, buffer_bytes));
    *size = *buffer == nullptr ? 0 : buffer_bytes;
    *most_records = 0;  // as many as fit
}

void CuptiSession::take_buffer(CUcontext context, std::uint32_t stream, std::uint8_t* buffer,
                               std::size_t /*size*/, std::size_t filled) {
    if (CuptiSession* session = current) {
        std::size_t dropped = 0;
        static_cast<void>(session->cupti_.get_num_dropped_records(context, stream, &dropped));
        session->read(buffer, filled, dropped);
    }
    std::free(buffer);
}

// Called by C: what there is no memory for is dropped.
void CuptiSession::read(std::uint8_t* buffer, std::size_t filled, std::size_t dropped) noexcept {
    const std::lock_guard lock(mutex_);
    seen_.dropped += static_cast<std::int64_t>(dropped);
    CUpti_Activity* activity = nullptr;
    while (filled > 0 && cupti_.get_next_record(buffer, filled, &activity) == CUPTI_SUCCESS) {
        const std::optional<DeviceRecord> record = device_record(*activity);
        if (!record) {
            continue;
        }
        // CUPTI gives 0 where it could not read the device's clock.
        if (record->start_ns == 0 || record->end_ns < record->start_ns) {
            ++seen_.dropped;
            continue;
        }
        try {
            seen_.records.push_back(*record);
        } catch (const std::bad_alloc&) {
            ++seen_.dropped;
        }
    }
}

}  // namespace layerledger::cuda
