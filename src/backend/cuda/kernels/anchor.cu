#include "kernels.hpp"

namespace layerledger::cuda::kernels {
namespace {

// Recognised by this name.
__global__ void ledger_anchor() {}

}  // namespace

void anchor(cudaStream_t stream) {
    ledger_anchor<<<1, 1, 0, stream>>>();
}

}  // namespace layerledger::cuda::kernels
