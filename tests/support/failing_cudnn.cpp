// Preloaded before cuDNN, for tests on a GPU. On rank $FAULT_RANK, as $FAULT_KIND says: "version"
// (cuDNN is another version), "engine" (it proposes no engine for a convolution), "fault" (once the
// file $FAULT_FILE is there, a kernel that writes to where there is no memory runs before its next
// convolution).
#include <cuda.h>
#include <cudnn.h>
#include <dlfcn.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

std::string_view variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

bool is_asked_for(std::string_view kind) {
    static const bool is_victim = variable("PMIX_RANK") == variable("FAULT_RANK");
    return is_victim && variable("FAULT_KIND") == kind;
}

/// cuDNN's own function. Its library is there by the time that anyone calls it.
template <class Function>
Function real(const char* name) {
    static void* const library =
        dlopen(("libcudnn.so." + std::to_string(CUDNN_MAJOR)).c_str(), RTLD_LAZY | RTLD_NOLOAD);
    return reinterpret_cast<Function>(dlsym(library, name));
}

/// A kernel of one thread that stores to address 16.
constexpr const char* bad_kernel = R"(
.version 7.8
.target sm_80
.address_size 64
.visible .entry bad()
{
    .reg .b64 %place;
    .reg .b32 %value;
    mov.u64 %place, 16;
    mov.u32 %value, 1;
    st.global.u32 [%place], %value;
    ret;
}
)";

/// In the context of the calling thread, by the driver, which the program has loaded.
void run_bad_kernel() {
    void* const driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
    const auto load =
        reinterpret_cast<decltype(&cuModuleLoadData)>(dlsym(driver, "cuModuleLoadData"));
    const auto find =
        reinterpret_cast<decltype(&cuModuleGetFunction)>(dlsym(driver, "cuModuleGetFunction"));
    const auto launch =
        reinterpret_cast<decltype(&cuLaunchKernel)>(dlsym(driver, "cuLaunchKernel"));
    CUmodule module = nullptr;
    CUfunction kernel = nullptr;
    if (load(&module, bad_kernel) != CUDA_SUCCESS || find(&kernel, module, "bad") != CUDA_SUCCESS ||
        launch(kernel, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr) != CUDA_SUCCESS) {
        std::abort();  // the test is broken, not what it tests
    }
}

}  // namespace

extern "C" {

std::size_t cudnnGetVersion() {
    const auto version = real<decltype(&cudnnGetVersion)>(__func__)();
    return version + (is_asked_for("version") ? 100 : 0);
}

cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t most,
                                       std::int64_t* count, void* elements) {
    const auto get = real<decltype(&cudnnBackendGetAttribute)>(__func__);
    if (is_asked_for("engine") && name == CUDNN_ATTR_ENGINEHEUR_RESULTS) {
        *count = 0;
        return CUDNN_STATUS_SUCCESS;
    }
    return get(descriptor, name, type, most, count, elements);
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
    static bool has_run = false;
    if (!has_run && is_asked_for("fault") && access(variable("FAULT_FILE").data(), F_OK) == 0) {
        has_run = true;
        run_bad_kernel();
    }
    return real<decltype(&cudnnBackendExecute)>(__func__)(handle, plan, pack);
}

}  // extern "C"
