// The backend's own kernels: one function each that launches one on a stream. Tensors are NHWC with
// their channels padded to a multiple of `vector`; `Type` says what their elements are. What a
// launch reports is left to cudaGetLastError.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "layerledger/device/backend.hpp"

namespace layerledger::cuda::kernels {

using Bf16 = __nv_bfloat16;

/// Elements of activations and their gradients.
enum class Type : unsigned char { fp32, bf16 };

[[nodiscard]] constexpr std::size_t size_of(Type type) noexcept {
    return type == Type::fp32 ? 4 : 2;
}
/// Elements that one access of 16 bytes takes; the padding of channels.
[[nodiscard]] constexpr std::int64_t vector(Type type) noexcept {
    return type == Type::fp32 ? 4 : 8;
}

/// A tensor's extents; `channels` with padding.
struct Extent {
    std::int64_t images = 0;
    std::int64_t height = 1;
    std::int64_t width = 1;
    std::int64_t channels = 0;

    [[nodiscard]] constexpr std::int64_t pixels() const noexcept { return images * height * width; }
    [[nodiscard]] constexpr std::int64_t elements() const noexcept { return pixels() * channels; }
};

// layout.cu
void to_bf16(const float* from, Bf16* to, std::size_t count, cudaStream_t);
void to_fp32(const Bf16* from, float* to, std::size_t count, cudaStream_t);
/// [N, C, H, W] floats to a padded NHWC tensor, zeros in the padding.
void pack_images(const float* from, std::int64_t channels, Type, void* to, Extent, cudaStream_t);
/// A 64-bit sum over mixed bits and places: equal values give equal digests.
void digest(const float* values, std::size_t count, unsigned long long* sum, cudaStream_t);

// elementwise.cu
/// y = x + bias, rectified where asked, in place.
void add_bias(Type, void* y, const float* bias, bool relu, Extent, cudaStream_t);
/// dy = y > 0 ? dy : 0 in place (where `y` is given), and the sums of dy over pixels (where `bias`
/// is given). `partial` holds `partial_sums` floats for each channel.
void bias_gradient(Type, void* dy, const void* y, float* bias, float* partial, Extent,
                   cudaStream_t);
inline constexpr std::int64_t partial_sums = 512;
void relu_forward(Type, const void* x, void* y, std::int64_t count, cudaStream_t);
/// dx (+)= y > 0 ? dy : 0. `y` null: no mask.
void masked_copy(Type, const void* dy, const void* y, void* dx, bool accumulate, std::int64_t count,
                 cudaStream_t);
void add_forward(Type, const void* a, const void* b, void* y, bool relu, std::int64_t count,
                 cudaStream_t);
/// Copies channels [from_channel, +channels) of a tensor with `from_stride` channels behind each
/// other to those of another; the padding of `to` is not touched.
void copy_channels(Type, const void* from, std::int64_t from_stride, std::int64_t from_channel,
                   void* to, std::int64_t to_stride, std::int64_t to_channel, std::int64_t channels,
                   std::int64_t pixels, bool accumulate, cudaStream_t);

struct Dropout {
    std::uint64_t key = 0;                 ///< of this pass, or, with `draws`, of the operation
    const std::uint64_t* draws = nullptr;  ///< the number of the pass, on the device
    std::uint32_t threshold = 0;           ///< of 2^31: what lies below is dropped
    float scale = 1;
};
/// y (+)= x * mask: forward on values, backward on gradients. The mask counts the places of
/// [N, `channels`, H, W], which has no padding.
void dropout(Type, const void* x, void* y, Dropout, bool accumulate, std::int64_t channels, Extent,
             cudaStream_t);

// pooling.cu
struct Window {
    std::int32_t kernel = 1;
    std::int32_t stride = 1;
    std::int32_t padding = 0;
};
inline constexpr std::int32_t largest_max_window = 15;
/// `places` gets one byte an output element: where in the window the maximum was; 255 says nowhere.
void max_pool_forward(Type, const void* x, Extent from, void* y, Extent to, std::uint8_t* places,
                      Window, cudaStream_t);
void max_pool_backward(Type, const void* dy, Extent to, const std::uint8_t* places, void* dx,
                       Extent from, Window, bool accumulate, cudaStream_t);
void average_pool_forward(Type, const void* x, Extent from, void* y, Extent to, Window,
                          cudaStream_t);
void average_pool_backward(Type, const void* dy, Extent to, void* dx, Extent from, Window,
                           bool accumulate, cudaStream_t);

inline constexpr std::int32_t most_response_half = 2;
struct ResponseNorm {
    std::int32_t half = 2;  ///< channels on either side, at most `most_response_half`
    float scale = 1e-4F;    ///< alpha / size
    float beta = 0.75F;
    float k = 1;
};
void response_norm_forward(Type, const void* x, void* y, Extent, ResponseNorm, cudaStream_t);
void response_norm_backward(Type, const void* x, const void* dy, void* dx, Extent, ResponseNorm,
                            bool accumulate, cudaStream_t);

// batch_norm.cu
/// Arrays of `channels` floats.
struct BatchNormArrays {
    const float* scale = nullptr;
    const float* shift = nullptr;
    float* running_mean = nullptr;
    float* running_variance = nullptr;
    float* mean = nullptr;     ///< of this batch
    float* inverse = nullptr;  ///< 1 / sqrt(variance + epsilon) of this batch
    float* partial = nullptr;  ///< 2 * partial_sums for each channel
};
void batch_norm_training(Type, const void* x, void* y, bool relu, float epsilon, float momentum,
                         const BatchNormArrays&, Extent, cudaStream_t);
void batch_norm_inference(Type, const void* x, void* y, bool relu, float epsilon,
                          const BatchNormArrays&, Extent, cudaStream_t);
/// dx (+)=; with a rectifier dy is masked by y > 0.
void batch_norm_backward(Type, const void* x, const void* y, const void* dy, void* dx, bool relu,
                         float* dscale, float* dshift, const BatchNormArrays&, bool accumulate,
                         Extent, cudaStream_t);

// anchor.cu
/// Does nothing; it can be told from all others in what CUPTI records.
void anchor(cudaStream_t);

// clock.cu
/// Writes the moment at which what is ahead of it on the stream is done. It and `stamps_out` can be
/// told from all others in what CUPTI records. `early`: it is launched while that still runs, which
/// saves time (from compute capability 9 on).
void stamp(unsigned long long* moment, bool early, cudaStream_t);
/// Copies moments to the host's memory.
void stamps_out(const unsigned long long* from, unsigned long long* to, int count, cudaStream_t);
/// The kernel of it, for a node of a graph.
[[nodiscard]] const void* stamp_function();
/// The mean of the clock's next `steps` steps, of as many as it makes in `most_ns` or so; 0 for
/// none.
void clock_steps(int steps, unsigned long long most_ns, double* mean_ns, cudaStream_t);
/// Does nothing for a while.
void stall(unsigned long long ns, cudaStream_t);

// direct_convolution.cu
/// Groups of any width: what cuDNN cannot do on padded channels. `group_in` and `group_out` are the
/// channels of one group; weights are [padded outputs][kernel*kernel][group_in].
struct DirectConvolution {
    Extent from;
    Extent to;
    Window window;
    std::int32_t groups = 1;
    std::int32_t group_in = 1;
    std::int32_t group_out = 1;
};
void direct_forward(Type, const DirectConvolution&, const void* x, const void* w, void* y,
                    cudaStream_t);
void direct_backward_data(Type, const DirectConvolution&, const void* w, const void* dy, void* dx,
                          bool accumulate, cudaStream_t);
void direct_backward_weights(Type, const DirectConvolution&, const void* x, const void* dy,
                             float* dw, cudaStream_t);

// loss.cu
struct LossArrays {
    float* losses = nullptr;        ///< [N]
    float* log_sums = nullptr;      ///< [N]
    std::int32_t* ranks = nullptr;  ///< [N] classes that score higher than the label
    const std::int32_t* labels = nullptr;
};
void loss_forward(Type, const void* logits, std::int64_t classes, std::int64_t stride,
                  std::int64_t images, const LossArrays&, cudaStream_t);
void loss_backward(Type, const void* logits, void* gradient, std::int64_t classes,
                   std::int64_t stride, std::int64_t images, float share, const LossArrays&,
                   bool accumulate, cudaStream_t);
/// Adds up the first `valid` images.
void loss_sums(const LossArrays&, std::int64_t valid, std::int64_t topk, BatchMetrics* sums,
               cudaStream_t);

// update.cu
/// `rate` takes the place of the step's learning rate, where given; it lies on the device. `cast`
/// gets the new parameters in bf16, where given.
void update(const OptimizerStep&, const float* rate, const OptimizerSlices&, Bf16* cast,
            cudaStream_t);

}  // namespace layerledger::cuda::kernels
