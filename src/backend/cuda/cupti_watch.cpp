#include "cupti_watch.hpp"

#include <dlfcn.h>

#include <algorithm>

#include "cublas_library.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
namespace {

/// The file that cuBLAS was loaded from: CUPTI lies near it.
std::string neighbour() {
    Dl_info found{};
    const bool is_found = dladdr(reinterpret_cast<void*>(cublas_library().create), &found) != 0;
    return is_found && found.dli_fname != nullptr ? found.dli_fname : "";
}

}  // namespace

// The first start takes longest, since every kernel that is loaded is prepared for it: it is done
// here, outside of training.
CuptiWatch::CuptiWatch(Gpu& gpu) : gpu_(gpu), session_(cupti_candidates(neighbour())) {
    constexpr std::int64_t tries = 2;
    start();
    for (std::int64_t i = 0; i < tries; ++i) {
        static_cast<void>(anchor());
    }
    const DeviceRecords seen = stop();
    const auto found = std::ranges::count(seen.records, DeviceWork::anchor, &DeviceRecord::work);
    LL_VALIDATE(found == tries && seen.dropped == 0, ExitCode::unavailable,
                text("profile.level=kernel cannot see kernels (of ", tries,
                     " for a trial CUPTI recorded ", found, " and lost ", seen.dropped,
                     "; another profiler may be at work) use profile.level=op"));
}

void CuptiWatch::start() {
    LL_CUDA(cudaDeviceSynchronize());
    session_.start();
}

Mark CuptiWatch::anchor() {
    kernels::anchor(gpu_.compute().get());
    LL_CUDA(cudaPeekAtLastError());
    return gpu_.marks().mark();
}

DeviceRecords CuptiWatch::stop() {
    LL_CUDA(cudaDeviceSynchronize());
    return session_.stop();
}

}  // namespace layerledger::cuda
