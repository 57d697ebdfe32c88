#include "layerledger/base/counter_random.hpp"
#include "vector.cuh"

namespace layerledger::cuda::kernels {
namespace {

template <class T>
__global__ void add_bias_kernel(void* y, const float* bias, bool relu, std::int64_t vectors,
                                int row_vectors) {
    constexpr int size = Vector<T>::size;
    const std::int64_t index = global_index();
    if (index >= vectors) {
        return;
    }
    float offset[size] = {};
    if (bias != nullptr) {
        load_floats<T>(bias + first_channel<T>(index, row_vectors), offset);
    }
    Vector<T> value = load<T>(y, index);
#pragma unroll
    for (int i = 0; i < size; ++i) {
        const float x = value.get(i) + offset[i];
        value.set(i, relu ? rectified(x) : x);
    }
    store<T>(y, index, value);
}

// A block takes `lanes` vectors of channels (x) and a share of the pixels (y).
template <class T>
__global__ void bias_gradient_kernel(void* dy, const void* y, float* partial, bool sum,
                                     std::int64_t pixels, int row_vectors, int lanes) {
    constexpr int size = Vector<T>::size;
    extern __shared__ float shared[];
    const int rows = static_cast<int>(blockDim.x) / lanes;
    const int lane = static_cast<int>(threadIdx.x) % lanes;
    const int row = static_cast<int>(threadIdx.x) / lanes;
    const int column = static_cast<int>(blockIdx.x) * lanes + lane;
    float sums[size] = {};
    if (column < row_vectors) {
        const std::int64_t step = static_cast<std::int64_t>(gridDim.y) * rows;
        for (std::int64_t p = static_cast<std::int64_t>(blockIdx.y) * rows + row; p < pixels;
             p += step) {
            const std::int64_t index = p * row_vectors + column;
            Vector<T> value = load<T>(dy, index);
            if (y != nullptr) {
                const Vector<T> output = load<T>(y, index);
#pragma unroll
                for (int i = 0; i < size; ++i) {
                    value.set(i, rectified_gradient(value.get(i), output.get(i)));
                }
                store<T>(dy, index, value);
            }
#pragma unroll
            for (int i = 0; i < size; ++i) {
                sums[i] += value.get(i);
            }
        }
    }
    if (!sum) {
        return;
    }
    add_rows<size>(sums, shared, lane, lanes, row, rows);
    if (row == 0 && column < row_vectors) {
#pragma unroll
        for (int i = 0; i < size; ++i) {
            partial[static_cast<std::int64_t>(blockIdx.y) * row_vectors * size + column * size +
                    i] = sums[i];
        }
    }
}

constexpr int finish_lanes = 32;  // channels of a block
constexpr int finish_rows = 16;   // threads that share the parts of a channel

__global__ void finish_sums_kernel(const float* partial, float* result, int channels, int parts) {
    __shared__ double shared[finish_rows][finish_lanes];
    const int c = static_cast<int>(blockIdx.x) * finish_lanes + static_cast<int>(threadIdx.x);
    double sum = 0;
    if (c < channels) {
        for (int part = static_cast<int>(threadIdx.y); part < parts; part += finish_rows) {
            sum += partial[static_cast<std::int64_t>(part) * channels + c];
        }
    }
    shared[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && c < channels) {
        for (int row = 1; row < finish_rows; ++row) {
            sum += shared[row][threadIdx.x];
        }
        result[c] = static_cast<float>(sum);
    }
}

template <class T>
__global__ void relu_kernel(const void* x, void* y, std::int64_t vectors) {
    const std::int64_t index = global_index();
    if (index < vectors) {
        Vector<T> value = load<T>(x, index);
#pragma unroll
        for (int i = 0; i < Vector<T>::size; ++i) {
            value.set(i, rectified(value.get(i)));
        }
        store<T>(y, index, value);
    }
}

template <class T>
__global__ void masked_copy_kernel(const void* dy, const void* y, void* dx, bool accumulate,
                                   std::int64_t vectors) {
    const std::int64_t index = global_index();
    if (index < vectors) {
        Vector<T> value = load<T>(dy, index);
        if (y != nullptr) {
            const Vector<T> output = load<T>(y, index);
#pragma unroll
            for (int i = 0; i < Vector<T>::size; ++i) {
                value.set(i, rectified_gradient(value.get(i), output.get(i)));
            }
        }
        store<T>(dx, index, value, accumulate);
    }
}

template <class T>
__global__ void add_kernel(const void* a, const void* b, void* y, bool relu, std::int64_t vectors) {
    const std::int64_t index = global_index();
    if (index < vectors) {
        Vector<T> value = load<T>(a, index);
        const Vector<T> other = load<T>(b, index);
#pragma unroll
        for (int i = 0; i < Vector<T>::size; ++i) {
            const float sum = value.get(i) + other.get(i);
            value.set(i, relu ? rectified(sum) : sum);
        }
        store<T>(y, index, value);
    }
}

template <class T>
__global__ void copy_vectors_kernel(const void* from, std::int64_t from_stride,
                                    std::int64_t from_first, void* to, std::int64_t to_stride,
                                    std::int64_t to_first, int vectors, std::int64_t pixels,
                                    bool accumulate) {
    const std::int64_t index = global_index();
    if (index < pixels * vectors) {
        const std::int64_t pixel = index / vectors;
        const std::int64_t vector = index % vectors;
        store<T>(to, pixel * to_stride + to_first + vector,
                 load<T>(from, pixel * from_stride + from_first + vector), accumulate);
    }
}

template <class T>
__global__ void copy_elements_kernel(const T* from, std::int64_t from_stride,
                                     std::int64_t from_first, T* to, std::int64_t to_stride,
                                     std::int64_t to_first, std::int64_t channels,
                                     std::int64_t pixels, bool accumulate) {
    const std::int64_t index = global_index();
    if (index < pixels * channels) {
        const std::int64_t pixel = index / channels;
        const std::int64_t channel = index % channels;
        T& target = to[pixel * to_stride + to_first + channel];
        const T value = from[pixel * from_stride + from_first + channel];
        target = accumulate ? static_cast<T>(static_cast<float>(target) + static_cast<float>(value))
                            : value;
    }
}

// The mask is a function of the pass and of the place in [N, C, H, W], so that backward draws it
// again. What lies in the padding draws its neighbour's, and is zero whatever it draws.
template <class T>
__global__ void dropout_kernel(const void* x, void* y, Dropout dropout, bool accumulate,
                               unsigned channels, unsigned plane, unsigned row_vectors,
                               std::int64_t vectors) {
    const std::int64_t index = global_index();
    if (index < vectors) {
        const auto pixel = static_cast<unsigned>(index / row_vectors);
        const auto lane = static_cast<unsigned>(index - std::int64_t{pixel} * row_vectors);
        const unsigned first_channel = pixel / plane * channels + lane * Vector<T>::size;
        const unsigned place = pixel % plane;
        const std::uint64_t key = dropout.draws == nullptr
                                      ? dropout.key
                                      : mixed_bits(dropout.key + *dropout.draws);
        Vector<T> value = load<T>(x, index);
#pragma unroll
        for (unsigned i = 0; i < Vector<T>::size; ++i) {
            const bool kept = dropout_keeps(key, (first_channel + i) * plane + place,
                                            dropout.threshold);
            value.set(i, kept ? value.get(i) * dropout.scale : 0.0F);
        }
        store<T>(y, index, value, accumulate);
    }
}

}  // namespace

void add_bias(Type type, void* y, const float* bias, bool relu, Extent extent,
              cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        const std::int64_t vectors = extent.elements() / Vector<T>::size;
        add_bias_kernel<T><<<blocks_for(vectors), block_size, 0, stream>>>(
            y, bias, relu, vectors, static_cast<int>(extent.channels / Vector<T>::size));
    });
}

void bias_gradient(Type type, void* dy, const void* y, float* bias, float* partial, Extent extent,
                   cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        constexpr int size = Vector<T>::size;
        const int row_vectors = static_cast<int>(extent.channels / size);
        const int lanes = row_vectors < 32 ? row_vectors : 32;
        const int rows = block_size / lanes;
        const unsigned columns = static_cast<unsigned>((row_vectors + lanes - 1) / lanes);
        const std::int64_t wanted = (extent.pixels() + rows * 8 - 1) / (rows * 8);
        const auto parts = static_cast<unsigned>(wanted < partial_sums ? wanted : partial_sums);
        bias_gradient_kernel<T>
            <<<dim3(columns, parts), static_cast<unsigned>(rows * lanes),
               static_cast<std::size_t>(rows * lanes * size) * sizeof(float), stream>>>(
                dy, y, partial, bias != nullptr, extent.pixels(), row_vectors, lanes);
        if (bias != nullptr) {
            const auto blocks =
                static_cast<unsigned>((extent.channels + finish_lanes - 1) / finish_lanes);
            finish_sums_kernel<<<blocks, dim3(finish_lanes, finish_rows), 0, stream>>>(
                partial, bias, static_cast<int>(extent.channels), static_cast<int>(parts));
        }
    });
}

void relu_forward(Type type, const void* x, void* y, std::int64_t count, cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        const std::int64_t vectors = count / Vector<T>::size;
        relu_kernel<T><<<blocks_for(vectors), block_size, 0, stream>>>(x, y, vectors);
    });
}

void masked_copy(Type type, const void* dy, const void* y, void* dx, bool accumulate,
                 std::int64_t count, cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        const std::int64_t vectors = count / Vector<T>::size;
        masked_copy_kernel<T>
            <<<blocks_for(vectors), block_size, 0, stream>>>(dy, y, dx, accumulate, vectors);
    });
}

void add_forward(Type type, const void* a, const void* b, void* y, bool relu, std::int64_t count,
                 cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        const std::int64_t vectors = count / Vector<T>::size;
        add_kernel<T><<<blocks_for(vectors), block_size, 0, stream>>>(a, b, y, relu, vectors);
    });
}

void copy_channels(Type type, const void* from, std::int64_t from_stride, std::int64_t from_channel,
                   void* to, std::int64_t to_stride, std::int64_t to_channel, std::int64_t channels,
                   std::int64_t pixels, bool accumulate, cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        constexpr std::int64_t size = Vector<T>::size;
        const bool whole =
            (from_stride | from_channel | to_stride | to_channel | channels) % size == 0;
        if (whole) {
            const std::int64_t vectors = channels / size;
            copy_vectors_kernel<T><<<blocks_for(pixels * vectors), block_size, 0, stream>>>(
                from, from_stride / size, from_channel / size, to, to_stride / size,
                to_channel / size, static_cast<int>(vectors), pixels, accumulate);
        } else {
            copy_elements_kernel<T><<<blocks_for(pixels * channels), block_size, 0, stream>>>(
                static_cast<const T*>(from), from_stride, from_channel, static_cast<T*>(to),
                to_stride, to_channel, channels, pixels, accumulate);
        }
    });
}

void dropout(Type type, const void* x, void* y, Dropout dropout, bool accumulate,
             std::int64_t channels, Extent extent, cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        const std::int64_t vectors = extent.elements() / Vector<T>::size;
        dropout_kernel<T><<<blocks_for(vectors), block_size, 0, stream>>>(
            x, y, dropout, accumulate, static_cast<unsigned>(channels),
            static_cast<unsigned>(extent.height * extent.width),
            static_cast<unsigned>(extent.channels / Vector<T>::size), vectors);
    });
}

}  // namespace layerledger::cuda::kernels
