// A network made ready for the GPU: the LayerOps port.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "batch_upload.hpp"
#include "layerledger/device/backend.hpp"
#include "loss.hpp"
#include "operation.hpp"
#include "plan.hpp"

namespace layerledger::cuda {

class CompiledNetwork final : public LayerOps {
public:
    CompiledNetwork(Gpu& gpu, ConvolutionEngines& engines, const Network& network,
                    const CompileOptions& options, Recorder& recorder);
    CompiledNetwork(const CompiledNetwork&) = delete;
    CompiledNetwork& operator=(const CompiledNetwork&) = delete;
    ~CompiledNetwork() override;

    [[nodiscard]] std::span<const std::size_t> parameter_storage() const override {
        return parameter_storage_;
    }
    void bind(DeviceSpan parameters, DeviceSpan gradients,
              std::span<const std::size_t> offsets) override;

    void import_parameter(ParameterId id, std::span<const float> values) override;
    void export_parameter(ParameterId id, std::span<float> values) const override;
    void export_gradient(ParameterId id, std::span<float> values) const override;

    void stage(const HostBatch& batch) override;
    void load(const HostBatch& batch) override;
    void begin_pass() override;
    void forward(LayerId layer, Mode mode) override;
    void backward(LayerId layer) override;
    void send_metrics(std::size_t slot) override;
    [[nodiscard]] BatchMetrics metrics(std::size_t slot) const override;

    [[nodiscard]] std::vector<float> output(OpId op) const override;
    /// Of an operation with its own rectifier: the gradient before the rectifier, once its layer's
    /// backward has run, because the mask is applied in place.
    [[nodiscard]] std::vector<float> output_gradient(OpId op) const override;

    [[nodiscard]] std::vector<float> state() const override;
    void set_state(std::span<const float> state) override;
    [[nodiscard]] std::vector<std::uint64_t> random_state() const override;
    void set_random_state(std::span<const std::uint64_t> state) override;

    [[nodiscard]] std::vector<Implementation> implementations() const override;

private:
    [[nodiscard]] std::vector<float> plain_copy(const Tensor& tensor, const void* from) const;
    void export_values(ParameterId id, const float* from, std::span<float> values) const;

    Gpu& gpu_;
    const Network& network_;
    Recorder& recorder_;
    Plan plan_;
    std::vector<OperationPointer> operations_;
    std::vector<std::size_t> gradient_bytes_;  // by op: what its backward pass needs
    std::vector<std::size_t> parameter_storage_;
    BatchUpload upload_;
    std::int64_t valid_ = 0;
    bool draws_ = false;       // some operation draws random numbers
    bool pass_begun_ = false;  // the next training pass, by `begin_pass`
    const LossOperation* main_loss_ = nullptr;
    DeviceMemory sums_;
    PinnedMemory sent_;  // a BatchMetrics for each slot
    std::array<Event, metric_slots> arrived_;
};

/// Device bytes that a network takes, arenas left out.
[[nodiscard]] std::size_t estimate_bytes(const Network& network, const CompileOptions& options);

}  // namespace layerledger::cuda
