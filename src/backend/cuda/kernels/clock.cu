// The clock that the device keeps for itself, in nanoseconds.
#include "kernels.hpp"

namespace layerledger::cuda::kernels {
namespace {

__device__ unsigned long long clock_ns() {
    unsigned long long now = 0;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now)::"memory");
    return now;
}

// Recognised by their names. They may be launched before the kernel ahead of them has ended, for
// whose end they then wait.
__global__ void ledger_stamp(unsigned long long* moment) {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
    *moment = clock_ns();
}

__global__ void ledger_stamps_out(const unsigned long long* from, unsigned long long* to,
                                  int count) {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
    for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
        to[i] = from[i];
    }
}

__global__ void clock_steps_kernel(int steps, unsigned long long most_ns, double* mean_ns) {
    const unsigned long long begun = clock_ns();
    unsigned long long last = begun;
    int seen = 0;
    while (seen < steps && last - begun < most_ns) {
        const unsigned long long now = clock_ns();
        seen += now != last ? 1 : 0;
        last = now;
    }
    *mean_ns = seen > 0 ? static_cast<double>(last - begun) / seen : 0;
}

__global__ void stall_kernel(unsigned long long ns) {
    const unsigned long long begun = clock_ns();
    while (clock_ns() - begun < ns) {
    }
}

template <class... Parameters>
void launch(void (*kernel)(Parameters...), unsigned threads, bool early, cudaStream_t stream,
            Parameters... arguments) {
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(1);
    config.blockDim = dim3(threads);
    config.stream = stream;
    config.attrs = &attribute;
    config.numAttrs = early ? 1 : 0;
    static_cast<void>(cudaLaunchKernelEx(&config, kernel, arguments...));
}

}  // namespace

void stamp(unsigned long long* moment, bool early, cudaStream_t stream) {
    launch(ledger_stamp, 1, early, stream, moment);
}

void stamps_out(const unsigned long long* from, unsigned long long* to, int count,
                cudaStream_t stream) {
    constexpr unsigned threads = 128;
    launch(ledger_stamps_out, threads, true, stream, from, to, count);
}

const void* stamp_function() {
    return reinterpret_cast<const void*>(ledger_stamp);
}

void clock_steps(int steps, unsigned long long most_ns, double* mean_ns, cudaStream_t stream) {
    clock_steps_kernel<<<1, 1, 0, stream>>>(steps, most_ns, mean_ns);
}

void stall(unsigned long long ns, cudaStream_t stream) {
    stall_kernel<<<1, 1, 0, stream>>>(ns);
}

}  // namespace layerledger::cuda::kernels
