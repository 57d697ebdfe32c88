// Preloaded before cuDNN, for tests on a GPU. On rank $FAULT_RANK, as $FAULT_KIND says: "version"
// (cuDNN is another version), "engine" (it finds no algorithm for a convolution), "fault" (once the
// file $FAULT_FILE is there, the kernel of its next convolution writes to where there is no
// memory).
#include <cudnn.h>
#include <dlfcn.h>
#include <unistd.h>

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

}  // namespace

extern "C" {

std::size_t cudnnGetVersion() {
    const auto version = real<decltype(&cudnnGetVersion)>(__func__)();
    return version + (is_asked_for("version") ? 100 : 0);
}

cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x_descriptor, const void* x,
    const cudnnFilterDescriptor_t w_descriptor, const void* w,
    const cudnnConvolutionDescriptor_t convolution, const cudnnTensorDescriptor_t y_descriptor,
    void* y, const int most, int* found, cudnnConvolutionFwdAlgoPerf_t* trials, void* workspace,
    std::size_t workspace_bytes) {
    if (is_asked_for("engine")) {
        *found = 0;
        return CUDNN_STATUS_SUCCESS;
    }
    return real<decltype(&cudnnFindConvolutionForwardAlgorithmEx)>(__func__)(
        handle, x_descriptor, x, w_descriptor, w, convolution, y_descriptor, y, most, found, trials,
        workspace, workspace_bytes);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha,
                                      const cudnnTensorDescriptor_t x_descriptor, const void* x,
                                      const cudnnFilterDescriptor_t w_descriptor, const void* w,
                                      const cudnnConvolutionDescriptor_t convolution,
                                      cudnnConvolutionFwdAlgo_t algorithm, void* workspace,
                                      std::size_t workspace_bytes, const void* beta,
                                      const cudnnTensorDescriptor_t y_descriptor, void* y) {
    if (is_asked_for("fault") && access(variable("FAULT_FILE").data(), F_OK) == 0) {
        y = reinterpret_cast<void*>(std::uintptr_t{1} << 20U);
    }
    return real<decltype(&cudnnConvolutionForward)>(__func__)(
        handle, alpha, x_descriptor, x, w_descriptor, w, convolution, algorithm, workspace,
        workspace_bytes, beta, y_descriptor, y);
}

}  // extern "C"
