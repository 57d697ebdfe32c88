#include "gpu.hpp"

#include <nccl.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "cublas_library.hpp"
#include "gpu_sharing.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
namespace {

// cuBLAS' own recommendation for Hopper (cuBLAS documentation, cublasSetWorkspace).
constexpr std::size_t cublas_workspace_bytes = 32U << 20U;

/// What the libraries take of the device later on: kernels that they load with their first call,
/// NCCL's channels. An allowance: 84 to 382 MiB went to libraries in all on an H200, in bf16.
constexpr std::size_t later_bytes = std::size_t{512} << 20U;

std::string uuid_text(const cudaUUID_t& uuid) {
    std::string result = "GPU-";
    for (std::size_t i = 0; i < sizeof uuid.bytes; ++i) {
        std::array<char, 4> hex{};
        std::snprintf(hex.data(), hex.size(), "%02x", static_cast<unsigned char>(uuid.bytes[i]));
        result += (i == 4 || i == 6 || i == 8 || i == 10) ? "-" : "";
        result += hex.data();
    }
    return result;
}

/// Which of the GPUs that this process sees is the rank's. Ranks that see one GPU each, another
/// one, all take number 0.
int number_of(const RankMap& rank) {
    if (const std::string why = why_unavailable(); !why.empty()) {
        throw Error(ExitCode::unavailable,
                    text("device.backend=cuda cannot be had (", why, ") use device.backend=cpu"));
    }
    int count = 0;
    LL_CUDA(cudaGetDeviceCount(&count));
    return rank.local_rank % count;
}

std::size_t free_bytes() {
    std::size_t free = 0;
    std::size_t total = 0;
    LL_CUDA(cudaMemGetInfo(&free, &total));
    return free;
}

std::string version_text(int version, int major, int minor) {
    return text(version / major, ".", version % major / minor);
}

}  // namespace

int count_sharers(const Communicator& world, const RankMap& rank, bool may_share) {
    ChosenGpu gpu;
    world.agree([&] {
        cudaDeviceProp properties{};
        LL_CUDA(cudaGetDeviceProperties(&properties, number_of(rank)));
        gpu = {rank.host, properties.name, uuid_text(properties.uuid)};
    });
    return count_sharers(world, gpu, may_share);
}

std::string why_unavailable() {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    static_cast<void>(cudaGetLastError());
    if (status == cudaErrorInsufficientDriver) {
        return text("no driver for GPUs is installed, or one older than CUDA ",
                    version_text(CUDART_VERSION, 1000, 10), " needs");
    }
    if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) {
        return "no GPU is here, or CUDA_VISIBLE_DEVICES hides it";
    }
    return status == cudaSuccess ? "" : text("CUDA says: ", cudaGetErrorString(status));
}

std::vector<std::pair<std::string, std::string>> library_versions() {
    int runtime = 0;
    static_cast<void>(cudaRuntimeGetVersion(&runtime));
    int driver = 0;
    static_cast<void>(cudaDriverGetVersion(&driver));
    int nccl = 0;
    static_cast<void>(ncclGetVersion(&nccl));
    const std::size_t cudnn = cudnnGetVersion();
    std::string cublas;
    try {
        cublas = version_of(cublas_library());
    } catch (const Error&) {
        cublas = "not found";
    }
    return {{"CUDA", version_text(runtime, 1000, 10)},
            {"CUDA driver", driver == 0 ? "none" : version_text(driver, 1000, 10)},
            {"cuBLAS", cublas},
            {"cuDNN", text(cudnn / 10000, ".", cudnn % 10000 / 100, ".", cudnn % 100)},
            {"NCCL", text(nccl / 10000, ".", nccl % 10000 / 100, ".", nccl % 100)}};
}

Gpu::Gpu(const BackendOptions& options, const RankMap& rank)
    : options_(options),
      chosen_(*this, rank),
      marks_(compute_, options.stamps),
      cublas_workspace_(cublas_workspace_bytes) {
    cudnnHandle_t cudnn = nullptr;
    LL_CUDNN(cudnnCreate(&cudnn));
    cudnn_.reset(cudnn);
    LL_CUDNN(cudnnSetStream(cudnn, compute_.get()));
    cudnn_device_.emplace(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    cudnn_device_->set(CUDNN_ATTR_DEVICEPROP_HANDLE, cudnn);
    cudnn_device_->finalize();
    cublasHandle_t cublas = nullptr;
    LL_CUBLAS(cublas_library().create(&cublas));
    cublas_.reset(cublas);
    LL_CUBLAS(cublas_library().set_stream(cublas, compute_.get()));
    LL_CUBLAS(cublas_library().set_workspace(cublas, cublas_workspace_.data(),
                                             cublas_workspace_.bytes()));
    info_.marks = marks_.events().description();
    // Behind what the libraries took when they began.
    const std::size_t free = free_bytes();
    info_.memory_bytes =
        (free - std::min(free, later_bytes)) / static_cast<std::size_t>(options.sharers);
}

void Gpu::Destroy::operator()(cudnnHandle_t cudnn) const noexcept {
    static_cast<void>(cudnnDestroy(cudnn));
}

void Gpu::Destroy::operator()(cublasHandle_t cublas) const noexcept {
    static_cast<void>(cublas_library().destroy(cublas));
}

void Gpu::choose(const RankMap& rank) {
    number_ = number_of(rank);
    LL_CUDA(cudaSetDevice(number_));
    cudaDeviceProp properties{};
    LL_CUDA(cudaGetDeviceProperties(&properties, number_));
    major_ = properties.major;
    minor_ = properties.minor;
    free_at_first_ = free_bytes();
    restart_peak();
    info_.backend = "cuda";
    info_.name = properties.name;
    info_.uuid = uuid_text(properties.uuid);
    info_.threads = 1;
    info_.has_own_memory = true;
}

DeviceMemoryUse Gpu::memory_use() const {
    const DeviceMemoryCount own = device_memory_count();
    const auto taken = static_cast<double>(free_at_first_) - static_cast<double>(free_bytes());
    return {static_cast<double>(own.peak), std::max(0.0, taken - static_cast<double>(own.now))};
}

kernels::Bf16* Gpu::keep_cast(DeviceSpan master) {
    casts_.push_back({master, DeviceMemory(master.size * sizeof(kernels::Bf16))});
    renew_cast(master);
    return casts_.back().cast.as<kernels::Bf16>();
}

void Gpu::drop_cast(DeviceSpan master) noexcept {
    std::erase_if(casts_,
                  [&](const CastParameters& kept) { return kept.master.data == master.data; });
}

kernels::Bf16* Gpu::cast_of(DeviceSpan values) const noexcept {
    for (const CastParameters& kept : casts_) {
        if (values.data >= kept.master.data && values.data < kept.master.data + kept.master.size) {
            return kept.cast.as<kernels::Bf16>() + (values.data - kept.master.data);
        }
    }
    return nullptr;
}

void Gpu::renew_cast(DeviceSpan values) const {
    if (kernels::Bf16* cast = cast_of(values)) {
        kernels::to_bf16(values.data, cast, values.size, compute_.get());
        LL_CUDA(cudaGetLastError());
    }
}

}  // namespace layerledger::cuda
