#include "vector.cuh"

namespace layerledger::cuda::kernels {
namespace {

constexpr int warp = 32;

// A warp for each image. How many classes come before the label: those that score higher, or as
// high under a lower index. A score that is no number counts as higher, so that a diverged network
// is never right.
template <class T>
__global__ void loss_forward_kernel(const T* logits, int classes, std::int64_t stride,
                                    std::int64_t images, LossArrays arrays) {
    const std::int64_t image = global_index() / warp;
    const int lane = static_cast<int>(threadIdx.x) % warp;
    if (image >= images) {
        return;
    }
    const T* scores = logits + image * stride;
    const int label = arrays.labels[image];
    const auto own = static_cast<float>(scores[label]);
    float largest = -INFINITY;
    int rank = 0;
    for (int c = lane; c < classes; c += warp) {
        const auto score = static_cast<float>(scores[c]);
        largest = fmaxf(largest, score);
        const bool behind = score < own || (score == own && c >= label);
        rank += behind ? 0 : 1;
    }
    for (int distance = warp / 2; distance > 0; distance /= 2) {
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffU, largest, distance));
        rank += __shfl_xor_sync(0xffffffffU, rank, distance);
    }
    // In double, because a small loss is the logarithm of a number near one.
    double sum = 0;
    for (int c = lane; c < classes; c += warp) {
        sum += static_cast<double>(expf(static_cast<float>(scores[c]) - largest));
    }
    for (int distance = warp / 2; distance > 0; distance /= 2) {
        sum += __shfl_xor_sync(0xffffffffU, sum, distance);
    }
    if (lane == 0) {
        const double log_sum = static_cast<double>(largest) + log(sum);
        arrays.log_sums[image] = static_cast<float>(log_sum);
        arrays.losses[image] = static_cast<float>(log_sum - static_cast<double>(own));
        arrays.ranks[image] = rank;
    }
}

template <class T>
__global__ void loss_backward_kernel(const T* logits, T* gradient, int classes, int stride,
                                     std::int64_t images, float share, LossArrays arrays,
                                     bool accumulate) {
    const std::int64_t index = global_index();
    const std::int64_t image = index / stride;
    const int c = static_cast<int>(index % stride);
    if (image >= images) {
        return;
    }
    float value = 0;
    if (c < classes) {
        value = share * expf(static_cast<float>(logits[index]) - arrays.log_sums[image]);
        if (c == arrays.labels[image]) {
            value -= share;
        }
    }
    gradient[index] =
        static_cast<T>(accumulate ? static_cast<float>(gradient[index]) + value : value);
}

__global__ void loss_sums_kernel(LossArrays arrays, std::int64_t valid, std::int64_t topk,
                                 BatchMetrics* sums) {
    __shared__ double losses[block_size];
    __shared__ int top1[block_size];
    __shared__ int topks[block_size];
    double loss = 0;
    int first = 0;
    int among = 0;
    for (std::int64_t n = threadIdx.x; n < valid; n += block_size) {
        loss += static_cast<double>(arrays.losses[n]);
        first += arrays.ranks[n] == 0 ? 1 : 0;
        among += arrays.ranks[n] < topk ? 1 : 0;
    }
    losses[threadIdx.x] = loss;
    top1[threadIdx.x] = first;
    topks[threadIdx.x] = among;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int i = 1; i < block_size; ++i) {
            loss += losses[i];
            first += top1[i];
            among += topks[i];
        }
        sums->loss = loss;
        sums->top1 = first;
        sums->topk = among;
        sums->images = valid;
    }
}

}  // namespace

void loss_forward(Type type, const void* logits, std::int64_t classes, std::int64_t stride,
                  std::int64_t images, const LossArrays& arrays, cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        loss_forward_kernel<T><<<blocks_for(images * warp), block_size, 0, stream>>>(
            static_cast<const T*>(logits), static_cast<int>(classes), stride, images, arrays);
    });
}

void loss_backward(Type type, const void* logits, void* gradient, std::int64_t classes,
                   std::int64_t stride, std::int64_t images, float share, const LossArrays& arrays,
                   bool accumulate, cudaStream_t stream) {
    with_type(type, [&](auto element) {
        using T = decltype(element);
        loss_backward_kernel<T><<<blocks_for(images * stride), block_size, 0, stream>>>(
            static_cast<const T*>(logits), static_cast<T*>(gradient), static_cast<int>(classes),
            static_cast<int>(stride), images, share, arrays, accumulate);
    });
}

void loss_sums(const LossArrays& arrays, std::int64_t valid, std::int64_t topk, BatchMetrics* sums,
               cudaStream_t stream) {
    loss_sums_kernel<<<1, block_size, 0, stream>>>(arrays, valid, topk, sums);
}

}  // namespace layerledger::cuda::kernels
