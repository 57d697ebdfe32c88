#include "vector.cuh"

namespace layerledger::cuda::kernels {
namespace {

__global__ void to_bf16_kernel(const float* from, Bf16* to, std::size_t count) {
    const auto i = static_cast<std::size_t>(global_index());
    if (i < count) {
        to[i] = __float2bfloat16(from[i]);
    }
}

__global__ void to_fp32_kernel(const Bf16* from, float* to, std::size_t count) {
    const auto i = static_cast<std::size_t>(global_index());
    if (i < count) {
        to[i] = __bfloat162float(from[i]);
    }
}

// A thread packs one pixel: its reads are coalesced along the row, its writes are whole vectors.
template <class T>
__global__ void pack_kernel(const float* from, std::int64_t channels, void* to, Extent extent) {
    const std::int64_t pixel = global_index();
    if (pixel >= extent.pixels()) {
        return;
    }
    const std::int64_t plane = extent.height * extent.width;
    const float* first = from + pixel / plane * channels * plane + pixel % plane;
    for (std::int64_t c = 0; c < extent.channels; c += Vector<T>::size) {
        Vector<T> packed;
#pragma unroll
        for (int i = 0; i < Vector<T>::size; ++i) {
            packed.set(i, c + i < channels ? first[(c + i) * plane] : 0.0F);
        }
        store<T>(to, (pixel * extent.channels + c) / Vector<T>::size, packed);
    }
}

__device__ unsigned long long mixed(unsigned long long state) {
    state = (state ^ (state >> 30U)) * 0xBF58476D1CE4E5B9U;
    state = (state ^ (state >> 27U)) * 0x94D049BB133111EBU;
    return state ^ (state >> 31U);
}

__global__ void digest_kernel(const float* values, std::size_t count, unsigned long long* sum) {
    unsigned long long own = 0;
    const auto step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
    for (auto i = static_cast<std::size_t>(global_index()); i < count; i += step) {
        own += mixed((static_cast<unsigned long long>(i) << 32U) ^ __float_as_uint(values[i]));
    }
    atomicAdd(sum, own);
}

}  // namespace

void to_bf16(const float* from, Bf16* to, std::size_t count, cudaStream_t stream) {
    to_bf16_kernel<<<blocks_for(static_cast<std::int64_t>(count)), block_size, 0, stream>>>(from, to, count);
}

void to_fp32(const Bf16* from, float* to, std::size_t count, cudaStream_t stream) {
    to_fp32_kernel<<<blocks_for(static_cast<std::int64_t>(count)), block_size, 0, stream>>>(from, to, count);
}

void pack_images(const float* from, std::int64_t channels, Type type, void* to, Extent extent,
                 cudaStream_t stream) {
    with_type(type, [&](auto element) {
        pack_kernel<decltype(element)>
            <<<blocks_for(extent.pixels()), block_size, 0, stream>>>(from, channels, to, extent);
    });
}

// Sums of integers do not depend on their order.
void digest(const float* values, std::size_t count, unsigned long long* sum, cudaStream_t stream) {
    digest_kernel<<<512, block_size, 0, stream>>>(values, count, sum);
}

}  // namespace layerledger::cuda::kernels
