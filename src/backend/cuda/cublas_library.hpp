// cuBLAS, loaded when a GPU is first used: its code alone would take 150 MiB of every process that
// computes on CPUs.
#pragma once

#include <cublas_v2.h>

#include <string>

namespace layerledger::cuda {

struct CublasFunctions {
    decltype(&cublasCreate) create = nullptr;
    decltype(&cublasDestroy) destroy = nullptr;
    decltype(&cublasSetStream) set_stream = nullptr;
    decltype(&cublasSetWorkspace) set_workspace = nullptr;
    // C++ has two of that name: this is the library's.
    cublasStatus_t (*gemm)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int,
                           const void*, const void*, cudaDataType, int, const void*, cudaDataType,
                           int, const void*, void*, cudaDataType, int, cublasComputeType_t,
                           cublasGemmAlgo_t) = nullptr;
    decltype(&cublasGetStatusString) status_text = nullptr;
    decltype(&cublasGetProperty) property = nullptr;
};

/// Throws Error{unavailable} where it cannot be loaded. It stays to the end of the process.
[[nodiscard]] const CublasFunctions& cublas_library();

/// "13.0.2"
[[nodiscard]] std::string version_of(const CublasFunctions& cublas);

}  // namespace layerledger::cuda
