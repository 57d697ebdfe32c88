// A network compiled for the CPU: the LayerOps port over oneDNN.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "compiled_op.hpp"
#include "layerledger/device/backend.hpp"
#include "program.hpp"
#include "softmax_loss.hpp"

namespace layerledger::cpu {

class CompiledNetwork final : public LayerOps {
public:
    CompiledNetwork(const Network& network, const CompileOptions& options, Recorder& recorder);

    [[nodiscard]] std::span<const std::size_t> parameter_storage() const override {
        return parameter_storage_;
    }
    void bind(DeviceSpan parameters, DeviceSpan gradients,
              std::span<const std::size_t> offsets) override;

    void import_parameter(ParameterId id, std::span<const float> values) override;
    void export_parameter(ParameterId id, std::span<float> values) const override;
    void export_gradient(ParameterId id, std::span<float> values) const override;

    void load(const HostBatch& batch) override;
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
    [[nodiscard]] std::vector<float> plain_copy(const Memory& memory) const;

    const Network& network_;
    Recorder& recorder_;
    // Conversions for tests and checkpoints run on the program's stream from const members.
    std::unique_ptr<Program> program_;
    std::vector<std::unique_ptr<CompiledOp>> ops_;
    std::vector<std::size_t> gradient_bytes_;  // by op: what its backward pass writes
    std::vector<std::size_t> parameter_storage_;
    const SoftmaxLossOp* main_loss_ = nullptr;
    std::array<BatchMetrics, metric_slots> metrics_;
};

}  // namespace layerledger::cpu
