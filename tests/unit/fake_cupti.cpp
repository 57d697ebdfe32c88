// Stands in for CUPTI: gives what `fake_cupti` tells it to, in CUPTI's own records.
#include "fake_cupti.hpp"

#include <cstring>
#include <set>

namespace {

layerledger::testing::FakeCupti fake;
CUpti_BuffersCallbackRequestFunc give_buffer = nullptr;
CUpti_BuffersCallbackCompleteFunc take_buffer = nullptr;
std::set<CUpti_ActivityKind> enabled;

template <class Record>
void append(std::uint8_t* buffer, std::size_t& filled, const Record& record) {
    std::memcpy(buffer + filled, &record, sizeof record);
    filled += sizeof record;
}

std::size_t size_of(const CUpti_Activity& activity) {
    switch (activity.kind) {
        case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: return sizeof(CUpti_ActivityKernel10);
        case CUPTI_ACTIVITY_KIND_MEMCPY: return sizeof(CUpti_ActivityMemcpy6);
        default: return sizeof(CUpti_ActivityMemset4);
    }
}

}  // namespace

extern "C" {

layerledger::testing::FakeCupti* fake_cupti() {
    return &fake;
}

CUptiResult cuptiGetVersion(std::uint32_t* version) {
    *version = fake.version;
    return CUPTI_SUCCESS;
}

CUptiResult cuptiGetResultString(CUptiResult, const char** text) {
    *text = "THE_FAKE_SAYS_NO";
    return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc give,
                                           CUpti_BuffersCallbackCompleteFunc take) {
    give_buffer = give;
    take_buffer = take;
    return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityEnable(CUpti_ActivityKind kind) {
    if (fake.refusal == CUPTI_SUCCESS) {
        enabled.insert(kind);
        fake.enabled = enabled.size();
    }
    return fake.refusal;
}

CUptiResult cuptiActivityDisable(CUpti_ActivityKind kind) {
    enabled.erase(kind);
    fake.enabled = enabled.size();
    return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityFlushAll(std::uint32_t) {
    std::uint8_t* buffer = nullptr;
    std::size_t size = 0;
    std::size_t most = 1;
    give_buffer(&buffer, &size, &most);
    std::size_t filled = 0;
    if (buffer != nullptr && most == 0) {
        for (const CUpti_ActivityKernel10& kernel : fake.kernels) {
            append(buffer, filled, kernel);
        }
        for (const CUpti_ActivityMemcpy6& copy : fake.copies) {
            append(buffer, filled, copy);
        }
        for (const CUpti_ActivityMemset4& fill : fake.fills) {
            append(buffer, filled, fill);
        }
    }
    take_buffer(nullptr, 0, buffer, size, filled);
    return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityGetNextRecord(std::uint8_t* buffer, std::size_t filled,
                                       CUpti_Activity** record) {
    std::uint8_t* next =
        *record == nullptr ? buffer : reinterpret_cast<std::uint8_t*>(*record) + size_of(**record);
    if (next >= buffer + filled) {
        return CUPTI_ERROR_MAX_LIMIT_REACHED;
    }
    *record = reinterpret_cast<CUpti_Activity*>(next);
    return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityGetNumDroppedRecords(CUcontext, std::uint32_t, std::size_t* dropped) {
    *dropped = fake.dropped;
    return CUPTI_SUCCESS;
}
}
