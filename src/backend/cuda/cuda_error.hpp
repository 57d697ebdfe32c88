// Checks of calls into CUDA's libraries. Each macro throws Error with library, status, call, place.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "layerledger/base/error.hpp"

namespace layerledger::cuda {

void check(cudaError_t status, const char* expression, Place place);
void check(cudnnStatus_t status, const char* expression, Place place);
void check(cublasStatus_t status, const char* expression, Place place);

/// In destructors: a failure is logged.
void check_quietly(cudaError_t status, const char* expression) noexcept;

}  // namespace layerledger::cuda

#define LL_CUDA(expression) \
    ::layerledger::cuda::check((expression), #expression, ::layerledger::Place::here())
#define LL_CUDNN(expression) LL_CUDA(expression)
#define LL_CUBLAS(expression) LL_CUDA(expression)
