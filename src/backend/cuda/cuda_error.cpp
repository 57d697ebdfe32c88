#include "cuda_error.hpp"

#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {

void check(cudaError_t status, const char* expression, Place place) {
    if (status != cudaSuccess) {
        // A kernel's failure shows at any later call; what is not sticky must not show twice.
        static_cast<void>(cudaGetLastError());
        const ExitCode code = status == cudaErrorMemoryAllocation ? ExitCode::configuration
                                                                  : ExitCode::internal;
        const char* advice = status == cudaErrorMemoryAllocation
                                 ? "; use a smaller train.batch_size"
                                 : "";
        throw Error(code, {"CUDA", static_cast<int>(status), expression},
                    text(cudaGetErrorName(status), ", ", cudaGetErrorString(status), advice), place);
    }
}

void check(cudnnStatus_t status, const char* expression, Place place) {
    if (status != CUDNN_STATUS_SUCCESS) {
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
        throw Error(ExitCode::internal, {"cuBLAS", static_cast<int>(status), expression},
                    cublasGetStatusString(status), place);
    }
}

void check_quietly(cudaError_t status, const char* expression) noexcept {
    if (status != cudaSuccess) {
        try {
            log::error(text(expression, " failed (", cudaGetErrorString(status), ")"));
        } catch (...) {  // nothing is left to say it with
        }
    }
}

}  // namespace layerledger::cuda
