// The Backend port on a GPU.
#pragma once

#include <optional>

#include "convolution_engines.hpp"
#include "gpu.hpp"
#include "layerledger/device/backend.hpp"
#include "nvtx_annotations.hpp"

namespace layerledger::cuda {

class CudaBackend final : public Backend {
public:
    CudaBackend(const BackendOptions& options, const RankMap& rank);

    [[nodiscard]] Gpu& gpu() noexcept { return gpu_; }

    [[nodiscard]] const DeviceInfo& info() const noexcept override { return gpu_.info(); }
    [[nodiscard]] MarkSource& marks() noexcept override { return gpu_.marks(); }
    [[nodiscard]] Annotations& annotations() noexcept override { return annotations_; }
    [[nodiscard]] std::unique_ptr<Buffer> allocate(std::size_t floats) override;
    void require(Precision precision) const override;
    [[nodiscard]] std::size_t estimate_bytes(const Network& network,
                                             const CompileOptions& options) const override;
    [[nodiscard]] std::unique_ptr<LayerOps> compile(const Network& network,
                                                    const CompileOptions& options,
                                                    Recorder& recorder) override;
    [[nodiscard]] std::unique_ptr<KernelWatch> watch_kernels() override;
    [[nodiscard]] DeviceMemoryUse memory_use() const override { return gpu_.memory_use(); }
    void update(const OptimizerStep& step, const OptimizerSlices& slices) override;
    [[nodiscard]] std::unique_ptr<WorkGraph> capture(const std::function<void()>& work) override;
    void set_learning_rate(float learning_rate) override;
    [[nodiscard]] std::uint64_t digest(DeviceSpan values) override;

private:
    Gpu gpu_;
    NvtxAnnotations annotations_;
    ConvolutionEngines engines_;
    DeviceMemory digest_;
    std::optional<float> learning_rate_;  // that the device has
};

}  // namespace layerledger::cuda
