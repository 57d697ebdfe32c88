#include "convolution_descriptors.hpp"

#include <algorithm>
#include <array>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
namespace {

constexpr std::size_t most_workspace_bytes = std::size_t{2} << 30U;

int extent(std::int64_t value) {
    return static_cast<int>(value);
}

// True fp32 forbids tensor cores; tf32 is what cuDNN takes for floats unless told otherwise.
cudnnMathType_t wanted_math(Precision precision) {
    switch (precision) {
        case Precision::fp32: return CUDNN_FMA_MATH;
        case Precision::tf32: return CUDNN_DEFAULT_MATH;
        case Precision::bf16: return CUDNN_TENSOR_OP_MATH;
    }
    return CUDNN_DEFAULT_MATH;
}

constexpr std::array forward_names{
    "implicit_gemm", "implicit_precomp_gemm", "gemm", "direct", "fft", "fft_tiling",
    "winograd",      "winograd_nonfused"};
constexpr std::array data_names{"algo_0",     "algo_1",   "fft",
                                "fft_tiling", "winograd", "winograd_nonfused"};
constexpr std::array weights_names{
    "algo_0", "algo_1", "fft", "algo_3", "winograd", "winograd_nonfused", "fft_tiling"};

template <std::size_t count>
const char* name_in(const std::array<const char*, count>& names, int algorithm) {
    return algorithm >= 0 && static_cast<std::size_t>(algorithm) < count
               ? names[static_cast<std::size_t>(algorithm)]
               : "none";
}

}  // namespace

std::string to_text(const ConvolutionShape& shape, Direction direction) {
    constexpr std::array directions{"forward", "backward with respect to the input",
                                    "backward with respect to the weights"};
    constexpr std::array precisions{"fp32", "tf32", "bf16"};
    const auto extent_text = [](const kernels::Extent& e) {
        return text(e.images, "x", e.channels, "x", e.height, "x", e.width);
    };
    return text("a convolution ", extent_text(shape.x), " to ", extent_text(shape.y), ", kernel ",
                shape.kernel, "x", shape.kernel, ", stride ", shape.stride, ", padding ",
                shape.padding, ", ", shape.groups, shape.groups == 1 ? " group" : " groups", ", ",
                directions.at(static_cast<std::size_t>(direction)), ", in ",
                precisions.at(static_cast<std::size_t>(shape.precision)));
}

ConvolutionDescriptors::ConvolutionDescriptors(const Gpu& gpu, const ConvolutionShape& shape)
    : gpu_(gpu), shape_(shape) {
    const cudnnDataType_t type =
        shape.type == kernels::Type::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    LL_CUDNN(cudnnCreateTensorDescriptor(&x_));
    LL_CUDNN(cudnnCreateTensorDescriptor(&y_));
    LL_CUDNN(cudnnCreateFilterDescriptor(&w_));
    const auto describe = [type](cudnnTensorDescriptor_t tensor, const kernels::Extent& e) {
        LL_CUDNN(cudnnSetTensor4dDescriptor(tensor, CUDNN_TENSOR_NHWC, type, extent(e.images),
                                            extent(e.channels), extent(e.height), extent(e.width)));
    };
    describe(x_, shape.x);
    describe(y_, shape.y);
    LL_CUDNN(cudnnSetFilter4dDescriptor(w_, type, CUDNN_TENSOR_NHWC, extent(shape.y.channels),
                                        extent(shape.x.channels / shape.groups),
                                        extent(shape.kernel), extent(shape.kernel)));
    for (cudnnConvolutionDescriptor_t& convolution : convolutions_) {
        LL_CUDNN(cudnnCreateConvolutionDescriptor(&convolution));
        LL_CUDNN(cudnnSetConvolution2dDescriptor(
            convolution, extent(shape.padding), extent(shape.padding), extent(shape.stride),
            extent(shape.stride), 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
        LL_CUDNN(cudnnSetConvolutionGroupCount(convolution, extent(shape.groups)));
        LL_CUDNN(cudnnSetConvolutionMathType(convolution, wanted_math(shape.precision)));
    }
}

ConvolutionDescriptors::~ConvolutionDescriptors() {
    for (cudnnConvolutionDescriptor_t convolution : convolutions_) {
        static_cast<void>(cudnnDestroyConvolutionDescriptor(convolution));
    }
    static_cast<void>(cudnnDestroyFilterDescriptor(w_));
    static_cast<void>(cudnnDestroyTensorDescriptor(y_));
    static_cast<void>(cudnnDestroyTensorDescriptor(x_));
}

namespace {

/// The fastest of cuDNN's trials (they come sorted) that fits and is allowed.
template <class Trial>
ConvolutionChoice best_of(const std::vector<Trial>& trials, Precision precision,
                          bool deterministic) {
    for (const Trial& trial : trials) {
        const bool allowed = trial.status == CUDNN_STATUS_SUCCESS &&
                             trial.memory <= most_workspace_bytes &&
                             (!deterministic || trial.determinism == CUDNN_DETERMINISTIC) &&
                             (precision != Precision::fp32 || trial.mathType == CUDNN_FMA_MATH ||
                              trial.mathType == CUDNN_DEFAULT_MATH);
        if (allowed) {
            return {
                static_cast<int>(trial.algo),
                static_cast<int>(precision == Precision::fp32 ? CUDNN_FMA_MATH : trial.mathType),
                trial.memory};
        }
    }
    return {};
}

}  // namespace

ConvolutionChoice ConvolutionDescriptors::find(Direction direction) const {
    const std::size_t element = kernels::size_of(shape_.type);
    const auto bytes = [element](std::int64_t count) {
        return static_cast<std::size_t>(count) * element;
    };
    // Not the network's own memory: padding in it has to stay zero. And not zeros, on which some
    // kernels run faster: 0x3c in every byte is 0.0115 in both types.
    const auto filled = [](std::size_t count) {
        DeviceMemory memory(count);
        LL_CUDA(cudaMemset(memory.data(), 0x3c, count));
        return memory;
    };
    const DeviceMemory x = filled(bytes(shape_.x.elements()));
    const DeviceMemory y = filled(bytes(shape_.y.elements()));
    const DeviceMemory w = filled(bytes(shape_.y.channels * shape_.x.channels / shape_.groups *
                                        shape_.kernel * shape_.kernel));
    std::size_t free = 0;
    std::size_t total = 0;
    LL_CUDA(cudaMemGetInfo(&free, &total));
    const DeviceMemory workspace(std::min(most_workspace_bytes, free / 2));
    LL_CUDA(cudaDeviceSynchronize());

    constexpr int most_trials = 16;
    int found = 0;
    ConvolutionChoice best;
    const auto trials_of = [&](auto trial, const auto& find_all) {
        std::vector<decltype(trial)> trials(most_trials);
        LL_CUDNN(find_all(trials.data()));
        trials.resize(static_cast<std::size_t>(found));
        best = best_of(trials, shape_.precision, gpu_.is_deterministic());
    };
    switch (direction) {
        case Direction::forward:
            trials_of(cudnnConvolutionFwdAlgoPerf_t{}, [&](auto* trials) {
                return cudnnFindConvolutionForwardAlgorithmEx(
                    gpu_.cudnn(), x_, x.data(), w_, w.data(), convolution(direction), y_, y.data(),
                    most_trials, &found, trials, workspace.data(), workspace.bytes());
            });
            break;
        case Direction::data:
            trials_of(cudnnConvolutionBwdDataAlgoPerf_t{}, [&](auto* trials) {
                return cudnnFindConvolutionBackwardDataAlgorithmEx(
                    gpu_.cudnn(), w_, w.data(), y_, y.data(), convolution(direction), x_, x.data(),
                    most_trials, &found, trials, workspace.data(), workspace.bytes());
            });
            break;
        case Direction::weights:
            trials_of(cudnnConvolutionBwdFilterAlgoPerf_t{}, [&](auto* trials) {
                return cudnnFindConvolutionBackwardFilterAlgorithmEx(
                    gpu_.cudnn(), x_, x.data(), y_, y.data(), convolution(direction), w_, w.data(),
                    most_trials, &found, trials, workspace.data(), workspace.bytes());
            });
            break;
    }
    LL_VALIDATE(best.algorithm >= 0, ExitCode::unavailable,
                text("cuDNN has no algorithm for ", to_text(shape_, direction), " (", found,
                     " were tried) use another train.precision",
                     gpu_.is_deterministic() ? ", or train.deterministic=false" : ""));
    return best;
}

void ConvolutionDescriptors::choose(Direction direction, const ConvolutionChoice& choice) {
    choices_[static_cast<std::size_t>(direction)] = choice;
    LL_CUDNN(cudnnSetConvolutionMathType(convolution(direction),
                                         static_cast<cudnnMathType_t>(choice.math)));
}

std::string ConvolutionDescriptors::name(Direction direction) const {
    const ConvolutionChoice& chosen = choice(direction);
    std::string name;
    switch (direction) {
        case Direction::forward: name = name_in(forward_names, chosen.algorithm); break;
        case Direction::data: name = name_in(data_names, chosen.algorithm); break;
        case Direction::weights: name = name_in(weights_names, chosen.algorithm); break;
    }
    return name + (chosen.math == CUDNN_FMA_MATH ? "" : " on tensor cores");
}

std::size_t ConvolutionDescriptors::workspace_bytes() const noexcept {
    std::size_t most = 0;
    for (const ConvolutionChoice& chosen : choices_) {
        most = std::max(most, chosen.workspace_bytes);
    }
    return most;
}

void ConvolutionDescriptors::forward(const void* x, const void* w, void* y, void* workspace) const {
    const ConvolutionChoice& chosen = choice(Direction::forward);
    const float one = 1;
    const float zero = 0;
    LL_CUDNN(cudnnConvolutionForward(gpu_.cudnn(), &one, x_, x, w_, w,
                                     convolution(Direction::forward),
                                     static_cast<cudnnConvolutionFwdAlgo_t>(chosen.algorithm),
                                     workspace, chosen.workspace_bytes, &zero, y_, y));
}

void ConvolutionDescriptors::backward_data(const void* w, const void* dy, void* dx, bool accumulate,
                                           void* workspace) const {
    const ConvolutionChoice& chosen = choice(Direction::data);
    const float one = 1;
    const float beta = accumulate ? 1 : 0;
    LL_CUDNN(cudnnConvolutionBackwardData(
        gpu_.cudnn(), &one, w_, w, y_, dy, convolution(Direction::data),
        static_cast<cudnnConvolutionBwdDataAlgo_t>(chosen.algorithm), workspace,
        chosen.workspace_bytes, &beta, x_, dx));
}

void ConvolutionDescriptors::backward_weights(const void* x, const void* dy, void* dw,
                                              void* workspace) const {
    const ConvolutionChoice& chosen = choice(Direction::weights);
    const float one = 1;
    const float zero = 0;
    LL_CUDNN(cudnnConvolutionBackwardFilter(
        gpu_.cudnn(), &one, x_, x, y_, dy, convolution(Direction::weights),
        static_cast<cudnnConvolutionBwdFilterAlgo_t>(chosen.algorithm), workspace,
        chosen.workspace_bytes, &zero, w_, dw));
}

}  // namespace layerledger::cuda
