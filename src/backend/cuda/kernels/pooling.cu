#include <type_traits>

#include "vector.cuh"

namespace layerledger::cuda::kernels {
namespace {

// Which output (or input) a thread computes: one vector of channels of one pixel.
struct Place {
    std::int64_t image;
    int row;
    int column;
    int vector;
};

template <class T>
__device__ bool find_place(const Extent& extent, Place& place) {
    const std::int64_t index = global_index();
    if (index >= extent.elements() / Vector<T>::size) {
        return false;
    }
    const std::int64_t vectors = extent.channels / Vector<T>::size;
    place.vector = static_cast<int>(index % vectors);
    const std::int64_t pixel = index / vectors;
    place.column = static_cast<int>(pixel % extent.width);
    place.row = static_cast<int>(pixel / extent.width % extent.height);
    place.image = pixel / (extent.width * extent.height);
    return true;
}

template <class T>
__device__ std::int64_t vector_index(const Extent& extent, std::int64_t image, int row, int column,
                                     int vector) {
    return ((image * extent.height + row) * extent.width + column) *
               (extent.channels / Vector<T>::size) +
           vector;
}

template <class T>
__global__ void max_forward_kernel(const void* x, Extent from, void* y, Extent to,
                                   std::uint8_t* places, Window window) {
    constexpr int size = Vector<T>::size;
    Place at;
    if (!find_place<T>(to, at)) {
        return;
    }
    float best[size];
    std::uint8_t where[size];
#pragma unroll
    for (int i = 0; i < size; ++i) {
        best[i] = -INFINITY;
        where[i] = 255;
    }
    for (int r = 0; r < window.kernel; ++r) {
        const int row = at.row * window.stride - window.padding + r;
        for (int s = 0; s < window.kernel; ++s) {
            const int column = at.column * window.stride - window.padding + s;
            if (row < 0 || row >= from.height || column < 0 || column >= from.width) {
                continue;
            }
            const Vector<T> value =
                load<T>(x, vector_index<T>(from, at.image, row, column, at.vector));
#pragma unroll
            for (int i = 0; i < size; ++i) {
                // What is no number counts as the largest, so that it is not lost.
                if (where[i] == 255 || value.get(i) > best[i] || isnan(value.get(i))) {
                    best[i] = value.get(i);
                    where[i] = static_cast<std::uint8_t>(r * window.kernel + s);
                }
            }
        }
    }
    const std::int64_t index = vector_index<T>(to, at.image, at.row, at.column, at.vector);
    Vector<T> result;
#pragma unroll
    for (int i = 0; i < size; ++i) {
        result.set(i, best[i]);
        places[index * size + i] = where[i];
    }
    store<T>(y, index, result);
}

// Each input asks the windows that it lies in, so that nothing is added to from two sides.
template <class T, class Take>
__device__ void for_windows(const Extent& to, const Place& at, const Window& window,
                            const Take& take) {
    const int row = at.row + window.padding;
    const int column = at.column + window.padding;
    for (int r = row % window.stride; r < window.kernel; r += window.stride) {
        const int p = (row - r) / window.stride;
        if (row - r < 0 || p >= to.height) {
            continue;
        }
        for (int s = column % window.stride; s < window.kernel; s += window.stride) {
            const int q = (column - s) / window.stride;
            if (column - s < 0 || q >= to.width) {
                continue;
            }
            take(p, q, r * window.kernel + s);
        }
    }
}

template <class T>
__global__ void max_backward_kernel(const void* dy, Extent to, const std::uint8_t* places, void* dx,
                                    Extent from, Window window, bool accumulate) {
    constexpr int size = Vector<T>::size;
    Place at;
    if (!find_place<T>(from, at)) {
        return;
    }
    float sums[size] = {};
    for_windows<T>(to, at, window, [&](int p, int q, int place) {
        const std::int64_t index = vector_index<T>(to, at.image, p, q, at.vector);
        const Vector<T> gradient = load<T>(dy, index);
#pragma unroll
        for (int i = 0; i < size; ++i) {
            sums[i] += places[index * size + i] == place ? gradient.get(i) : 0.0F;
        }
    });
    Vector<T> result;
#pragma unroll
    for (int i = 0; i < size; ++i) {
        result.set(i, sums[i]);
    }
    store<T>(dx, vector_index<T>(from, at.image, at.row, at.column, at.vector), result, accumulate);
}

// Elements of the padding do not count.
__device__ int window_count(const Window& window, const Extent& from, int p, int q) {
    const int top = p * window.stride - window.padding;
    const int left = q * window.stride - window.padding;
    const int rows = min(top + window.kernel, static_cast<int>(from.height)) - max(top, 0);
    const int columns = min(left + window.kernel, static_cast<int>(from.width)) - max(left, 0);
    return rows * columns;
}

template <class T>
__global__ void average_forward_kernel(const void* x, Extent from, void* y, Extent to,
                                       Window window) {
    constexpr int size = Vector<T>::size;
    Place at;
    if (!find_place<T>(to, at)) {
        return;
    }
    float sums[size] = {};
    for (int r = 0; r < window.kernel; ++r) {
        const int row = at.row * window.stride - window.padding + r;
        for (int s = 0; s < window.kernel; ++s) {
            const int column = at.column * window.stride - window.padding + s;
            if (row < 0 || row >= from.height || column < 0 || column >= from.width) {
                continue;
            }
            const Vector<T> value =
                load<T>(x, vector_index<T>(from, at.image, row, column, at.vector));
#pragma unroll
            for (int i = 0; i < size; ++i) {
                sums[i] += value.get(i);
            }
        }
    }
    const auto count = static_cast<float>(window_count(window, from, at.row, at.column));
    Vector<T> result;
#pragma unroll
    for (int i = 0; i < size; ++i) {
        result.set(i, sums[i] / count);
    }
    store<T>(y, vector_index<T>(to, at.image, at.row, at.column, at.vector), result);
}

template <class T>
__global__ void average_backward_kernel(const void* dy, Extent to, void* dx, Extent from,
                                        Window window, bool accumulate) {
    constexpr int size = Vector<T>::size;
    Place at;
    if (!find_place<T>(from, at)) {
        return;
    }
    float sums[size] = {};
    for_windows<T>(to, at, window, [&](int p, int q, int) {
        const Vector<T> gradient = load<T>(dy, vector_index<T>(to, at.image, p, q, at.vector));
        const auto count = static_cast<float>(window_count(window, from, p, q));
#pragma unroll
        for (int i = 0; i < size; ++i) {
            sums[i] += gradient.get(i) / count;
        }
    });
    Vector<T> result;
#pragma unroll
    for (int i = 0; i < size; ++i) {
        result.set(i, sums[i]);
    }
    store<T>(dx, vector_index<T>(from, at.image, at.row, at.column, at.vector), result, accumulate);
}

// base^-beta; AlexNet's beta of 3/4 without a logarithm.
__device__ float response_power(float base, float beta) {
    if (beta == 0.75F) {
        const float root = rsqrtf(base);
        return root * sqrtf(root);
    }
    return powf(base, -beta);
}

// The channels of one pixel as floats, from a vector's first channel less one vector to its last plus
// one: what lies beyond the tensor is zero and adds nothing.
template <class T>
__device__ void load_neighbours(const void* data, std::int64_t index, int vector, int vectors,
                                float (&values)[3 * Vector<T>::size]) {
    constexpr int size = Vector<T>::size;
#pragma unroll
    for (int part = 0; part < 3; ++part) {
        const int v = vector + part - 1;
        const bool there = v >= 0 && v < vectors;
        const Vector<T> loaded = there ? load<T>(data, index + part - 1) : Vector<T>{};
#pragma unroll
        for (int i = 0; i < size; ++i) {
            values[part * size + i] = there ? loaded.get(i) : 0.0F;
        }
    }
}

// `half` is known to the compiler, so that the arrays stay in registers.
template <int half, int count>
__device__ float response_base(const float (&x)[count], int c, const ResponseNorm& norm) {
    float sum = 0;
#pragma unroll
    for (int j = -half; j <= half; ++j) {
        sum += x[c + j] * x[c + j];
    }
    return norm.k + norm.scale * sum;
}

template <class T, int half>
__global__ void response_forward_kernel(const void* x, void* y, std::int64_t vectors,
                                        int row_vectors, ResponseNorm norm) {
    constexpr int size = Vector<T>::size;
    const std::int64_t index = global_index();
    if (index >= vectors) {
        return;
    }
    float values[3 * size];
    load_neighbours<T>(x, index, static_cast<int>(index % row_vectors), row_vectors, values);
    Vector<T> result;
#pragma unroll
    for (int i = 0; i < size; ++i) {
        const float base = response_base<half>(values, size + i, norm);
        result.set(i, values[size + i] * response_power(base, norm.beta));
    }
    store<T>(y, index, result);
}

// dx_c = dy_c base_c^-beta - 2 scale beta x_c * sum over neighbours j of dy_j x_j base_j^(-beta-1)
template <class T, int half>
__global__ void response_backward_kernel(const void* x, const void* dy, void* dx,
                                         std::int64_t vectors, int row_vectors, ResponseNorm norm,
                                         bool accumulate) {
    constexpr int size = Vector<T>::size;
    const std::int64_t index = global_index();
    if (index >= vectors) {
        return;
    }
    const int vector = static_cast<int>(index % row_vectors);
    float values[3 * size];
    float gradients[3 * size];
    load_neighbours<T>(x, index, vector, row_vectors, values);
    load_neighbours<T>(dy, index, vector, row_vectors, gradients);
    float shares[3 * size];  // dy_j x_j base_j^(-beta-1)
    float own[size];         // dy_c base_c^-beta
#pragma unroll
    for (int j = 0; j < 3 * size; ++j) {
        shares[j] = 0;
        if (j >= size - half && j < 2 * size + half) {
            const float base = response_base<half>(values, j, norm);
            const float scaled = gradients[j] * response_power(base, norm.beta);
            shares[j] = scaled * values[j] / base;
            if (j >= size && j < 2 * size) {
                own[j - size] = scaled;
            }
        }
    }
    Vector<T> result;
#pragma unroll
    for (int i = 0; i < size; ++i) {
        float sum = 0;
#pragma unroll
        for (int j = size + i - half; j <= size + i + half; ++j) {
            sum += shares[j];
        }
        result.set(i, own[i] - 2 * norm.scale * norm.beta * values[size + i] * sum);
    }
    store<T>(dx, index, result, accumulate);
}

template <class Launch>
void with_half(int half, const Launch& launch) {
    switch (half) {
        case 0: launch(std::integral_constant<int, 0>{}); break;
        case 1: launch(std::integral_constant<int, 1>{}); break;
        default: launch(std::integral_constant<int, most_response_half>{}); break;
    }
}

}  // namespace

void max_pool_forward(Type type, const void* x, Extent from, void* y, Extent to,
                      std::uint8_t* places, Window window, cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        max_forward_kernel<T>
            <<<blocks_for(to.elements() / Vector<T>::size), block_size, 0, stream>>>(
                x, from, y, to, places, window);
    });
}

void max_pool_backward(Type type, const void* dy, Extent to, const std::uint8_t* places, void* dx,
                       Extent from, Window window, bool accumulate, cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        max_backward_kernel<T>
            <<<blocks_for(from.elements() / Vector<T>::size), block_size, 0, stream>>>(
                dy, to, places, dx, from, window, accumulate);
    });
}

void average_pool_forward(Type type, const void* x, Extent from, void* y, Extent to, Window window,
                          cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        average_forward_kernel<T>
            <<<blocks_for(to.elements() / Vector<T>::size), block_size, 0, stream>>>(x, from, y, to,
                                                                                     window);
    });
}

void average_pool_backward(Type type, const void* dy, Extent to, void* dx, Extent from,
                           Window window, bool accumulate, cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        average_backward_kernel<T>
            <<<blocks_for(from.elements() / Vector<T>::size), block_size, 0, stream>>>(
                dy, to, dx, from, window, accumulate);
    });
}

void response_norm_forward(Type type, const void* x, void* y, Extent extent, ResponseNorm norm,
                           cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        const std::int64_t vectors = extent.elements() / Vector<T>::size;
        with_half(norm.half, [&](auto half) {
            response_forward_kernel<T, half()><<<blocks_for(vectors), block_size, 0, stream>>>(
                x, y, vectors, static_cast<int>(extent.channels / Vector<T>::size), norm);
        });
    });
}

void response_norm_backward(Type type, const void* x, const void* dy, void* dx, Extent extent,
                            ResponseNorm norm, bool accumulate, cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        const std::int64_t vectors = extent.elements() / Vector<T>::size;
        with_half(norm.half, [&](auto half) {
            response_backward_kernel<T, half()><<<blocks_for(vectors), block_size, 0, stream>>>(
                x, dy, dx, vectors, static_cast<int>(extent.channels / Vector<T>::size), norm,
                accumulate);
        });
    });
}

}  // namespace layerledger::cuda::kernels
