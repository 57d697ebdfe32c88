// One rank's GPU: its streams, its marks, the libraries' handles and the casts of the parameters.
#pragma once

#include <memory>
#include <vector>

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
    ~Gpu();

    /// Binds the calling thread to this GPU.
    void use() const { LL_CUDA(cudaSetDevice(number_)); }

    [[nodiscard]] const DeviceInfo& info() const noexcept { return info_; }
    [[nodiscard]] int number() const noexcept { return number_; }
    [[nodiscard]] bool is_deterministic() const noexcept { return options_.deterministic; }
    [[nodiscard]] const Communicator* world() const noexcept { return options_.world; }
    [[nodiscard]] int major() const noexcept { return major_; }

    [[nodiscard]] const Stream& compute() const noexcept { return compute_; }
    [[nodiscard]] const Stream& copies() const noexcept { return copies_; }
    [[nodiscard]] EventMarks& marks() noexcept { return marks_; }
    /// Both run on the compute stream.
    [[nodiscard]] cudnnHandle_t cudnn() const noexcept { return cudnn_; }
    [[nodiscard]] cublasHandle_t cublas() const noexcept { return cublas_; }

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
    DeviceInfo info_;
    // Made once the device is chosen.
    struct Chosen {
        Chosen(Gpu& gpu, const RankMap& rank) { gpu.choose(rank); }
    };
    void choose(const RankMap& rank);
    Chosen chosen_;
    Stream compute_;
    Stream copies_;
    EventMarks marks_;
    cudnnHandle_t cudnn_ = nullptr;
    cublasHandle_t cublas_ = nullptr;
    DeviceMemory cublas_workspace_;
    std::vector<CastParameters> casts_;
};

}  // namespace layerledger::cuda
