// Stands in for Nsight Systems: NVTX loads this library, which writes down what it is told.
#include <nvtx3/nvToolsExt.h>

#include <deque>
#include <string>

namespace {

std::string heard;
std::deque<std::string> registered;

nvtxDomainHandle_t create_domain(const char* name) {
    heard += std::string("domain ") + name + "\n";
    return reinterpret_cast<nvtxDomainHandle_t>(&heard);
}

nvtxStringHandle_t register_string(nvtxDomainHandle_t, const char* text) {
    return reinterpret_cast<nvtxStringHandle_t>(&registered.emplace_back(text));
}

int push(nvtxDomainHandle_t, const nvtxEventAttributes_t* range) {
    heard += *reinterpret_cast<const std::string*>(range->message.registered) + " " +
             std::to_string(range->payload.llValue) + "\n";
    return 0;
}

int pop(nvtxDomainHandle_t) {
    heard += "end\n";
    return 0;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const char* nvtx_listener_heard() {
    return heard.c_str();
}

extern "C" __attribute__((visibility("default"))) int InitializeInjectionNvtx2(
    NvtxGetExportTableFunc_t table_of) {
    const auto* callbacks =
        static_cast<const NvtxExportTableCallbacks*>(table_of(NVTX_ETID_CALLBACKS));
    NvtxFunctionTable table = nullptr;
    unsigned int size = 0;
    if (callbacks == nullptr ||
        callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE2, &table, &size) == 0 ||
        size <= NVTX_CBID_CORE2_DomainCreateA) {
        return 0;
    }
    const auto set = [table](int id, auto* function) {
        *table[id] = reinterpret_cast<NvtxFunctionPointer>(function);
    };
    set(NVTX_CBID_CORE2_DomainCreateA, &create_domain);
    set(NVTX_CBID_CORE2_DomainRegisterStringA, &register_string);
    set(NVTX_CBID_CORE2_DomainRangePushEx, &push);
    set(NVTX_CBID_CORE2_DomainRangePop, &pop);
    return 1;
}
