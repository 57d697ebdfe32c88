// Sixteen bytes of a tensor at a time, computed with as floats.
#pragma once

#include "kernels.hpp"

namespace layerledger::cuda::kernels {

template <class T>
struct Vector;

template <>
struct alignas(16) Vector<float> {
    static constexpr int size = 4;
    float v[4];
    __device__ float get(int i) const { return v[i]; }
    __device__ void set(int i, float x) { v[i] = x; }
};

template <>
struct alignas(16) Vector<Bf16> {
    static constexpr int size = 8;
    Bf16 v[8];
    __device__ float get(int i) const { return __bfloat162float(v[i]); }
    __device__ void set(int i, float x) { v[i] = __float2bfloat16(x); }
};

/// What is no number stays so: a network that diverges shows it.
__device__ inline float rectified(float x) {
    return x < 0.0F ? 0.0F : x;
}
/// What of a gradient a rectifier lets through whose output was `y`.
__device__ inline float rectified_gradient(float gradient, float y) {
    return y <= 0.0F ? 0.0F : gradient;
}

template <class T>
__device__ Vector<T> load(const void* data, std::int64_t index) {
    return reinterpret_cast<const Vector<T>*>(data)[index];
}
template <class T>
__device__ void store(void* data, std::int64_t index, const Vector<T>& value) {
    reinterpret_cast<Vector<T>*>(data)[index] = value;
}
/// value, plus what is there where `accumulate` says so.
template <class T>
__device__ void store(void* data, std::int64_t index, Vector<T> value, bool accumulate) {
    if (accumulate) {
        const Vector<T> old = load<T>(data, index);
#pragma unroll
        for (int i = 0; i < Vector<T>::size; ++i) {
            value.set(i, value.get(i) + old.get(i));
        }
    }
    store<T>(data, index, value);
}

/// Calls `launch` with a value of the element's type.
template <class Launch>
void with_type(Type type, const Launch& launch) {
    if (type == Type::fp32) {
        launch(float{});
    } else {
        launch(Bf16{});
    }
}

inline constexpr int block_size = 256;

inline unsigned blocks_for(std::int64_t items) {
    return static_cast<unsigned>((items + block_size - 1) / block_size);
}

__device__ inline std::int64_t global_index() {
    return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

/// The same for the few numbers that a block adds up: `sums` holds blockDim.x * count floats.
/// Threads with equal `lane` (of `lanes`) add theirs; the result is in the first `lanes` threads.
template <int count>
__device__ void add_rows(float (&values)[count], float* sums, int lane, int lanes, int row,
                         int rows) {
#pragma unroll
    for (int i = 0; i < count; ++i) {
        sums[(row * lanes + lane) * count + i] = values[i];
    }
    for (int left = rows; left > 1;) {
        const int half = (left + 1) / 2;
        __syncthreads();
        if (row < left - half) {
#pragma unroll
            for (int i = 0; i < count; ++i) {
                sums[(row * lanes + lane) * count + i] +=
                    sums[((row + half) * lanes + lane) * count + i];
            }
        }
        left = half;
    }
    if (row == 0) {
#pragma unroll
        for (int i = 0; i < count; ++i) {
            values[i] = sums[lane * count + i];
        }
    }
}

/// As many neighbouring floats as a vector of T has elements.
template <class T>
__device__ void load_floats(const float* from, float (&values)[Vector<T>::size]) {
#pragma unroll
    for (int i = 0; i < Vector<T>::size; i += 4) {
        const float4 four = *reinterpret_cast<const float4*>(from + i);
        values[i] = four.x;
        values[i + 1] = four.y;
        values[i + 2] = four.z;
        values[i + 3] = four.w;
    }
}

/// The first channel of a vector: a tensor has fewer than 2^32 of them.
template <class T>
__device__ int first_channel(std::int64_t vector, int row_vectors) {
    return static_cast<int>(static_cast<unsigned>(vector) % static_cast<unsigned>(row_vectors)) *
           Vector<T>::size;
}

}  // namespace layerledger::cuda::kernels
