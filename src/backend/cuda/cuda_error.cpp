#include "cuda_error.hpp"

#include "cublas_library.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {

namespace {

/// After these the device's memory is lost to this process, and every call fails with the same.
bool is_failed_kernel(cudaError_t status) {
    switch (status) {
        case cudaErrorIllegalAddress:
        case cudaErrorLaunchFailure:
        case cudaErrorLaunchTimeout:
        case cudaErrorMisalignedAddress:
        case cudaErrorInvalidAddressSpace:
        case cudaErrorInvalidPc:
        case cudaErrorIllegalInstruction:
        case cudaErrorHardwareStackError:
        case cudaErrorAssert:
        case cudaErrorECCUncorrectable: return true;
        default: return false;
    }
}

const char* advice(cudaError_t status) {
    if (status == cudaErrorMemoryAllocation) {
        return "; use a smaller train.batch_size";
    }
    return is_failed_kernel(status)
               ? "; a kernel failed, there or in what the device was asked before: with "
                 "CUDA_LAUNCH_BLOCKING=1 in the environment the layer is the very one"
               : "";
}

/// What a library of CUDA's calls a failed execution: the kernel's failure says more.
void check_for_failed_kernel(const char* expression, Place place) {
    if (const cudaError_t status = cudaStreamQuery(nullptr); is_failed_kernel(status)) {
        check(status, expression, place);
    }
}

}  // namespace

void check(cudaError_t status, const char* expression, Place place) {
    if (status != cudaSuccess) {
        // A kernel's failure shows at any later call; what is not sticky must not show twice.
        static_cast<void>(cudaGetLastError());
        const ExitCode code =
            status == cudaErrorMemoryAllocation ? ExitCode::configuration : ExitCode::internal;
        throw Error(
            code, {"CUDA", static_cast<int>(status), expression},
            text(cudaGetErrorName(status), ", ", cudaGetErrorString(status), advice(status)),
            place);
    }
}

void check(cudnnStatus_t status, const char* expression, Place place) {
    if (status != CUDNN_STATUS_SUCCESS) {
        check_for_failed_kernel(expression, place);
        std::string more(512, '\0');
        cudnnGetLastErrorString(more.data(), more.size());
        more.resize(more.find('\0') == std::string::npos ? more.size() : more.find('\0'));
        const bool unsupported =
            status >= CUDNN_STATUS_NOT_SUPPORTED && status < CUDNN_STATUS_INTERNAL_ERROR;
        throw Error(unsupported ? ExitCode::unavailable : ExitCode::internal,
                    {"cuDNN", static_cast<int>(status), expression},
                    text(cudnnGetErrorString(status), more.empty() ? "" : ", ", more), place);
    }
}

void check(cublasStatus_t status, const char* expression, Place place) {
    if (status != CUBLAS_STATUS_SUCCESS) {
        check_for_failed_kernel(expression, place);
        throw Error(ExitCode::internal, {"cuBLAS", static_cast<int>(status), expression},
                    cublas_library().status_text(status), place);
    }
}

void check_quietly(cudaError_t status, const char* expression) noexcept {
    // Behind a failed kernel every call fails, and its failure is told already.
    if (status != cudaSuccess && !is_failed_kernel(status)) {
        try {
            log::error(text(expression, " failed (", cudaGetErrorString(status), ")"));
        } catch (...) {  // nothing is left to say it with
        }
    }
}

}  // namespace layerledger::cuda
