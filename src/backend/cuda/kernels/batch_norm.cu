// Batch normalization in three passes forward (two read x, one writes y) and two backward. Sums are
// of differences from the first pixel, so that a large mean does not eat the variance's digits.
#include "vector.cuh"

namespace layerledger::cuda::kernels {
namespace {

struct Grid {
    int row_vectors;
    int lanes;
    int rows;
    unsigned columns;
    unsigned parts;
};

template <class T>
Grid grid_for(const Extent& extent) {
    Grid grid{};
    grid.row_vectors = static_cast<int>(extent.channels / Vector<T>::size);
    grid.lanes = grid.row_vectors < 32 ? grid.row_vectors : 32;
    grid.rows = block_size / grid.lanes;
    grid.columns = static_cast<unsigned>((grid.row_vectors + grid.lanes - 1) / grid.lanes);
    const std::int64_t wanted = (extent.pixels() + grid.rows * 8 - 1) / (grid.rows * 8);
    grid.parts = static_cast<unsigned>(wanted < partial_sums ? wanted : partial_sums);
    return grid;
}

// Calls sum(index, vector column) for every pixel of the block's share, then writes the block's two
// sums of each channel to partial[part][channel][2].
template <class T, class Sum>
__device__ void sum_pixels(std::int64_t pixels, const Grid& grid, float* partial, const Sum& sum) {
    constexpr int size = Vector<T>::size;
    extern __shared__ float shared[];
    const int lane = static_cast<int>(threadIdx.x) % grid.lanes;
    const int row = static_cast<int>(threadIdx.x) / grid.lanes;
    const int column = static_cast<int>(blockIdx.x) * grid.lanes + lane;
    float sums[2 * size] = {};
    if (column < grid.row_vectors) {
        const std::int64_t step = static_cast<std::int64_t>(gridDim.y) * grid.rows;
        for (std::int64_t p = static_cast<std::int64_t>(blockIdx.y) * grid.rows + row; p < pixels;
             p += step) {
            sum(p * grid.row_vectors + column, column * size, sums);
        }
    }
    add_rows<2 * size>(sums, shared, lane, grid.lanes, row, grid.rows);
    if (row == 0 && column < grid.row_vectors) {
        float* target =
            partial +
            2 * (static_cast<std::int64_t>(blockIdx.y) * grid.row_vectors + column) * size;
#pragma unroll
        for (int i = 0; i < 2 * size; ++i) {
            target[i] = sums[i];
        }
    }
}

template <class T>
__global__ void moments_kernel(const void* x, std::int64_t pixels, Grid grid, float* partial) {
    sum_pixels<T>(pixels, grid, partial, [&](std::int64_t index, int channel, auto& sums) {
        const Vector<T> first = load<T>(x, channel / Vector<T>::size);
        const Vector<T> value = load<T>(x, index);
#pragma unroll
        for (int i = 0; i < Vector<T>::size; ++i) {
            const float difference = value.get(i) - first.get(i);
            sums[2 * i] += difference;
            sums[2 * i + 1] += difference * difference;
        }
    });
}

// A warp adds the parts of one channel up.
__device__ void add_parts(const float* partial, int channels, int parts, int channel, double& a,
                          double& b) {
    a = 0;
    b = 0;
    for (int part = static_cast<int>(threadIdx.x % 32); part < parts; part += 32) {
        const float* sums = partial + 2 * (static_cast<std::int64_t>(part) * channels + channel);
        a += sums[0];
        b += sums[1];
    }
    for (int distance = 16; distance > 0; distance /= 2) {
        a += __shfl_down_sync(0xffffffffU, a, static_cast<unsigned>(distance));
        b += __shfl_down_sync(0xffffffffU, b, static_cast<unsigned>(distance));
    }
}

template <class T>
__global__ void finish_moments_kernel(const T* x, double pixels, int channels, int parts,
                                      float epsilon, float momentum, BatchNormArrays arrays) {
    const int channel = static_cast<int>(global_index() / 32);
    if (channel >= channels) {
        return;
    }
    double sum = 0;
    double squares = 0;
    add_parts(arrays.partial, channels, parts, channel, sum, squares);
    if (threadIdx.x % 32 == 0) {
        const double difference = sum / pixels;
        const double mean = static_cast<double>(static_cast<float>(x[channel])) + difference;
        const double variance = fmax(0.0, squares / pixels - difference * difference);
        arrays.mean[channel] = static_cast<float>(mean);
        arrays.inverse[channel] =
            static_cast<float>(1.0 / sqrt(variance + static_cast<double>(epsilon)));
        arrays.running_mean[channel] =
            (1 - momentum) * arrays.running_mean[channel] + momentum * static_cast<float>(mean);
        // The unbiased one; what normalizes this batch is the biased one.
        const double unbiased = pixels > 1 ? variance * pixels / (pixels - 1) : variance;
        arrays.running_variance[channel] = (1 - momentum) * arrays.running_variance[channel] +
                                           momentum * static_cast<float>(unbiased);
    }
}

// Without a batch's moments the running ones serve.
template <class T>
__global__ void normalize_kernel(const void* x, void* y, bool relu, bool running, float epsilon,
                                 BatchNormArrays arrays, std::int64_t vectors, int row_vectors) {
    constexpr int size = Vector<T>::size;
    const std::int64_t index = global_index();
    if (index >= vectors) {
        return;
    }
    const int channel = first_channel<T>(index, row_vectors);
    float means[size];
    float spreads[size];
    float scales[size];
    float shifts[size];
    load_floats<T>((running ? arrays.running_mean : arrays.mean) + channel, means);
    load_floats<T>((running ? arrays.running_variance : arrays.inverse) + channel, spreads);
    load_floats<T>(arrays.scale + channel, scales);
    load_floats<T>(arrays.shift + channel, shifts);
    Vector<T> value = load<T>(x, index);
#pragma unroll
    for (int i = 0; i < size; ++i) {
        const float inverse = running ? rsqrtf(spreads[i] + epsilon) : spreads[i];
        const float result = (value.get(i) - means[i]) * (inverse * scales[i]) + shifts[i];
        value.set(i, relu ? rectified(result) : result);
    }
    store<T>(y, index, value);
}

template <class T>
__device__ Vector<T> masked(const void* dy, const void* y, std::int64_t index) {
    Vector<T> gradient = load<T>(dy, index);
    if (y != nullptr) {
        const Vector<T> output = load<T>(y, index);
#pragma unroll
        for (int i = 0; i < Vector<T>::size; ++i) {
            gradient.set(i, rectified_gradient(gradient.get(i), output.get(i)));
        }
    }
    return gradient;
}

template <class T>
__global__ void gradient_sums_kernel(const void* x, const void* y, const void* dy,
                                     BatchNormArrays arrays, std::int64_t pixels, Grid grid) {
    sum_pixels<T>(pixels, grid, arrays.partial, [&](std::int64_t index, int channel, auto& sums) {
        const Vector<T> value = load<T>(x, index);
        const Vector<T> gradient = masked<T>(dy, y, index);
#pragma unroll
        for (int i = 0; i < Vector<T>::size; ++i) {
            const float g = gradient.get(i);
            const float normal =
                (value.get(i) - arrays.mean[channel + i]) * arrays.inverse[channel + i];
            sums[2 * i] += g;
            sums[2 * i + 1] += g * normal;
        }
    });
}

__global__ void finish_gradients_kernel(const float* partial, float* dshift, float* dscale,
                                        int channels, int parts) {
    const int channel = static_cast<int>(global_index() / 32);
    if (channel < channels) {
        double sum = 0;
        double product = 0;
        add_parts(partial, channels, parts, channel, sum, product);
        if (threadIdx.x % 32 == 0) {
            dshift[channel] = static_cast<float>(sum);
            dscale[channel] = static_cast<float>(product);
        }
    }
}

// dx = scale * inverse * (dy - mean(dy) - normal * mean(dy * normal))
template <class T>
__global__ void input_gradient_kernel(const void* x, const void* y, const void* dy, void* dx,
                                      const float* dshift, const float* dscale,
                                      BatchNormArrays arrays, float share, bool accumulate,
                                      std::int64_t vectors, int row_vectors) {
    constexpr int size = Vector<T>::size;
    const std::int64_t index = global_index();
    if (index >= vectors) {
        return;
    }
    const int channel = first_channel<T>(index, row_vectors);
    float means[size];
    float inverses[size];
    float scales[size];
    float sums[size];
    float products[size];
    load_floats<T>(arrays.mean + channel, means);
    load_floats<T>(arrays.inverse + channel, inverses);
    load_floats<T>(arrays.scale + channel, scales);
    load_floats<T>(dshift + channel, sums);
    load_floats<T>(dscale + channel, products);
    Vector<T> value = load<T>(x, index);
    const Vector<T> gradient = masked<T>(dy, y, index);
#pragma unroll
    for (int i = 0; i < size; ++i) {
        const float normal = (value.get(i) - means[i]) * inverses[i];
        value.set(i, scales[i] * inverses[i] *
                         (gradient.get(i) - share * (sums[i] + normal * products[i])));
    }
    store<T>(dx, index, value, accumulate);
}

}  // namespace

void batch_norm_training(Type type, const void* x, void* y, bool relu, float epsilon,
                         float momentum, const BatchNormArrays& arrays, Extent extent,
                         cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        constexpr int size = Vector<T>::size;
        const Grid grid = grid_for<T>(extent);
        const auto threads = static_cast<unsigned>(grid.lanes * grid.rows);
        const std::size_t shared = 2 * size * threads * sizeof(float);
        moments_kernel<T><<<dim3(grid.columns, grid.parts), threads, shared, stream>>>(
            x, extent.pixels(), grid, arrays.partial);
        finish_moments_kernel<T><<<blocks_for(32 * extent.channels), block_size, 0, stream>>>(
            static_cast<const T*>(x), static_cast<double>(extent.pixels()),
            static_cast<int>(extent.channels), static_cast<int>(grid.parts), epsilon, momentum,
            arrays);
        const std::int64_t vectors = extent.elements() / size;
        normalize_kernel<T><<<blocks_for(vectors), block_size, 0, stream>>>(
            x, y, relu, false, epsilon, arrays, vectors, grid.row_vectors);
    });
}

void batch_norm_inference(Type type, const void* x, void* y, bool relu, float epsilon,
                          const BatchNormArrays& arrays, Extent extent, cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        const std::int64_t vectors = extent.elements() / Vector<T>::size;
        normalize_kernel<T><<<blocks_for(vectors), block_size, 0, stream>>>(
            x, y, relu, true, epsilon, arrays, vectors,
            static_cast<int>(extent.channels / Vector<T>::size));
    });
}

void batch_norm_backward(Type type, const void* x, const void* y, const void* dy, void* dx,
                         bool relu, float* dscale, float* dshift, const BatchNormArrays& arrays,
                         bool accumulate, Extent extent, cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        constexpr int size = Vector<T>::size;
        const Grid grid = grid_for<T>(extent);
        const auto threads = static_cast<unsigned>(grid.lanes * grid.rows);
        const std::size_t shared = 2 * size * threads * sizeof(float);
        const void* mask = relu ? y : nullptr;
        gradient_sums_kernel<T><<<dim3(grid.columns, grid.parts), threads, shared, stream>>>(
            x, mask, dy, arrays, extent.pixels(), grid);
        finish_gradients_kernel<<<blocks_for(32 * extent.channels), block_size, 0, stream>>>(
            arrays.partial, dshift, dscale, static_cast<int>(extent.channels),
            static_cast<int>(grid.parts));
        if (dx == nullptr) {
            return;
        }
        const std::int64_t vectors = extent.elements() / size;
        const auto share = static_cast<float>(1.0 / static_cast<double>(extent.pixels()));
        input_gradient_kernel<T><<<blocks_for(vectors), block_size, 0, stream>>>(
            x, mask, dy, dx, dshift, dscale, arrays, share, accumulate, vectors, grid.row_vectors);
    });
}

}  // namespace layerledger::cuda::kernels
