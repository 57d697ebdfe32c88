// Convolution by straight sums, one thread for each result: right for any groups, and slow.
#include "vector.cuh"

namespace layerledger::cuda::kernels {
namespace {

struct Element {
    std::int64_t image;
    int row;
    int column;
    int channel;
};

__device__ bool find_element(const Extent& extent, std::int64_t index, Element& at) {
    if (index >= extent.elements()) {
        return false;
    }
    at.channel = static_cast<int>(index % extent.channels);
    const std::int64_t pixel = index / extent.channels;
    at.column = static_cast<int>(pixel % extent.width);
    at.row = static_cast<int>(pixel / extent.width % extent.height);
    at.image = pixel / (extent.width * extent.height);
    return true;
}

__device__ std::int64_t element_index(const Extent& extent, std::int64_t image, int row, int column,
                                      int channel) {
    return ((image * extent.height + row) * extent.width + column) * extent.channels + channel;
}

__device__ std::int64_t weight_index(const DirectConvolution& c, int output, int spot, int input) {
    return (static_cast<std::int64_t>(output) * c.window.kernel * c.window.kernel + spot) *
               c.group_in +
           input;
}

template <class T>
__global__ void forward_kernel(DirectConvolution c, const T* x, const T* w, T* y) {
    const std::int64_t index = global_index();
    Element at{};
    if (!find_element(c.to, index, at)) {
        return;
    }
    float sum = 0;
    if (at.channel < c.groups * c.group_out) {
        const int first = at.channel / c.group_out * c.group_in;
        for (int r = 0; r < c.window.kernel; ++r) {
            const int row = at.row * c.window.stride - c.window.padding + r;
            for (int s = 0; s < c.window.kernel; ++s) {
                const int column = at.column * c.window.stride - c.window.padding + s;
                if (row < 0 || row >= c.from.height || column < 0 || column >= c.from.width) {
                    continue;
                }
                for (int i = 0; i < c.group_in; ++i) {
                    sum += static_cast<float>(
                               x[element_index(c.from, at.image, row, column, first + i)]) *
                           static_cast<float>(
                               w[weight_index(c, at.channel, r * c.window.kernel + s, i)]);
                }
            }
        }
    }
    y[index] = static_cast<T>(sum);
}

template <class T>
__global__ void data_kernel(DirectConvolution c, const T* w, const T* dy, T* dx, bool accumulate) {
    const std::int64_t index = global_index();
    Element at{};
    if (!find_element(c.from, index, at)) {
        return;
    }
    float sum = 0;
    if (at.channel < c.groups * c.group_in) {
        const int first = at.channel / c.group_in * c.group_out;
        for (int r = 0; r < c.window.kernel; ++r) {
            const int row = at.row + c.window.padding - r;
            for (int s = 0; s < c.window.kernel; ++s) {
                const int column = at.column + c.window.padding - s;
                if (row < 0 || column < 0 || row % c.window.stride != 0 ||
                    column % c.window.stride != 0 || row / c.window.stride >= c.to.height ||
                    column / c.window.stride >= c.to.width) {
                    continue;
                }
                for (int k = 0; k < c.group_out; ++k) {
                    sum +=
                        static_cast<float>(dy[element_index(c.to, at.image, row / c.window.stride,
                                                            column / c.window.stride, first + k)]) *
                        static_cast<float>(w[weight_index(c, first + k, r * c.window.kernel + s,
                                                          at.channel % c.group_in)]);
                }
            }
        }
    }
    dx[index] = static_cast<T>(accumulate ? static_cast<float>(dx[index]) + sum : sum);
}

template <class T>
__global__ void weights_kernel(DirectConvolution c, const T* x, const T* dy, float* dw) {
    const std::int64_t index = global_index();
    const int spots = c.window.kernel * c.window.kernel;
    const int input = static_cast<int>(index % c.group_in);
    const int spot = static_cast<int>(index / c.group_in % spots);
    const std::int64_t output = index / c.group_in / spots;
    if (output >= c.to.channels) {
        return;
    }
    double sum = 0;
    if (output < c.groups * c.group_out) {
        const auto k = static_cast<int>(output);
        const int channel = k / c.group_out * c.group_in + input;
        for (std::int64_t n = 0; n < c.to.images; ++n) {
            for (int p = 0; p < c.to.height; ++p) {
                const int row = p * c.window.stride - c.window.padding + spot / c.window.kernel;
                for (int q = 0; q < c.to.width; ++q) {
                    const int column =
                        q * c.window.stride - c.window.padding + spot % c.window.kernel;
                    if (row >= 0 && row < c.from.height && column >= 0 && column < c.from.width) {
                        sum += static_cast<double>(
                            static_cast<float>(x[element_index(c.from, n, row, column, channel)]) *
                            static_cast<float>(dy[element_index(c.to, n, p, q, k)]));
                    }
                }
            }
        }
    }
    dw[index] = static_cast<float>(sum);
}

}  // namespace

void direct_forward(Type type, const DirectConvolution& convolution, const void* x, const void* w,
                    void* y, cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        forward_kernel<T><<<blocks_for(convolution.to.elements()), block_size, 0, stream>>>(
            convolution, static_cast<const T*>(x), static_cast<const T*>(w), static_cast<T*>(y));
    });
}

void direct_backward_data(Type type, const DirectConvolution& convolution, const void* w,
                          const void* dy, void* dx, bool accumulate, cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        data_kernel<T><<<blocks_for(convolution.from.elements()), block_size, 0, stream>>>(
            convolution, static_cast<const T*>(w), static_cast<const T*>(dy), static_cast<T*>(dx),
            accumulate);
    });
}

void direct_backward_weights(Type type, const DirectConvolution& convolution, const void* x,
                             const void* dy, float* dw, cudaStream_t stream) {
    const std::int64_t weights = convolution.to.channels * convolution.window.kernel *
                                 convolution.window.kernel * convolution.group_in;
    with_type(type, [&](auto element) {
        using T = decltype(element);
        weights_kernel<T><<<blocks_for(weights), block_size, 0, stream>>>(
            convolution, static_cast<const T*>(x), static_cast<const T*>(dy), dw);
    });
}

}  // namespace layerledger::cuda::kernels
