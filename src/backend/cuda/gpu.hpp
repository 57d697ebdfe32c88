// One rank's GPU: its streams, its marks, the libraries' handles and the casts of the parameters.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "cudnn_descriptor.hpp"
#include "device_value.hpp"
#include "event_marks.hpp"
#include "handles.hpp"
#include "kernels/kernels.hpp"
#include "layerledger/backend/cuda.hpp"
#include "layerledger/device/backend.hpp"

namespace layerledger::cuda {

/// The half of parameters in bf16 that the forward and backward passes read.
struct CastParameters {
    DeviceSpan master;
    DeviceMemory cast;
};

class Gpu {
public:
    Gpu(const BackendOptions& options, const RankMap& rank);
    Gpu(const Gpu&) = delete;
    Gpu& operator=(const Gpu&) = delete;

    /// Binds the calling thread to this GPU.
    void use() const { LL_CUDA(cudaSetDevice(number_)); }

    [[nodiscard]] const DeviceInfo& info() const noexcept { return info_; }
    [[nodiscard]] bool is_deterministic() const noexcept { return options_.deterministic; }
    [[nodiscard]] const Communicator* world() const noexcept { return options_.world; }
    [[nodiscard]] DeviceMemoryUse memory_use() const;
    [[nodiscard]] int major() const noexcept { return major_; }
    [[nodiscard]] int minor() const noexcept { return minor_; }
    [[nodiscard]] int sharers() const noexcept { return options_.sharers; }

    [[nodiscard]] const Stream& compute() const noexcept { return compute_; }
    [[nodiscard]] const Stream& copies() const noexcept { return copies_; }
    [[nodiscard]] EventMarks& marks() noexcept { return marks_; }

    /// Work on the compute stream is captured, not done: what changes from launch to launch it
    /// reads from the device's memory.
    void begin_capture() noexcept {
        capturing_ = true;
        marks_.begin_capture();
    }
    /// Returns the marks that were made in it.
    [[nodiscard]] std::vector<std::size_t> end_capture() noexcept {
        capturing_ = false;
        return marks_.end_capture();
    }
    [[nodiscard]] bool is_capturing() const noexcept { return capturing_; }
    [[nodiscard]] DeviceValue<float>& learning_rate() noexcept { return learning_rate_; }
    /// How many training passes have drawn random numbers.
    [[nodiscard]] DeviceValue<std::uint64_t>& draws() noexcept { return draws_; }
    /// What cuDNN's plans are made for.
    [[nodiscard]] const CudnnDescriptor& cudnn_device() const noexcept { return *cudnn_device_; }
    /// Both run on the compute stream.
    [[nodiscard]] cudnnHandle_t cudnn() const noexcept { return cudnn_.get(); }
    [[nodiscard]] cublasHandle_t cublas() const noexcept { return cublas_.get(); }

    /// Keeps a bf16 copy of `master` up to date from now on; the copy is where the result points.
    [[nodiscard]] kernels::Bf16* keep_cast(DeviceSpan master);
    void drop_cast(DeviceSpan master) noexcept;
    /// The place in a kept copy that belongs to `values`, or null where none is kept.
    [[nodiscard]] kernels::Bf16* cast_of(DeviceSpan values) const noexcept;
    /// After a change of `values` other than an update: renews the copy, if there is one.
    void renew_cast(DeviceSpan values) const;

private:
    BackendOptions options_;
    int number_ = 0;
    int major_ = 0;
    int minor_ = 0;
    DeviceInfo info_;
    std::size_t free_at_first_ = 0;  // bytes of the device, before anything was allocated here
    // Made once the device is chosen.
    struct Chosen {
        Chosen(Gpu& gpu, const RankMap& rank) { gpu.choose(rank); }
    };
    void choose(const RankMap& rank);
    Chosen chosen_;
    Stream compute_;
    Stream copies_;
    EventMarks marks_;
    struct Destroy {
        void operator()(cudnnHandle_t cudnn) const noexcept;
        void operator()(cublasHandle_t cublas) const noexcept;
    };
    std::unique_ptr<cudnnContext, Destroy> cudnn_;
    std::optional<CudnnDescriptor> cudnn_device_;
    DeviceMemory cublas_workspace_;
    std::unique_ptr<cublasContext, Destroy> cublas_;
    std::vector<CastParameters> casts_;
    bool capturing_ = false;
    DeviceValue<float> learning_rate_;
    DeviceValue<std::uint64_t> draws_;
};

}  // namespace layerledger::cuda
