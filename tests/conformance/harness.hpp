// A small network on a backend beside the same network on the reference.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "conformance/backends.hpp"
#include "conformance/reference.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/network/builder.hpp"
#include "layerledger/timeline/recorder.hpp"

namespace layerledger::conformance {

/// |got - wanted| / |wanted| in the Euclidean norm; |got| where wanted is zero.
[[nodiscard]] double relative_error(std::span<const float> got, std::span<const double> wanted);

class Harness {
public:
    /// Parameters and images are drawn from a fixed generator.
    Harness(Backend& backend, Network network, const CompileOptions& options);

    /// One pass over all layers on both sides, the reference with the masks that the device drew.
    void forward(Mode mode);
    void backward();

    /// Compares all outputs.
    void expect_equal_outputs();
    /// Compares gradients of all parameters, and of the images if they were asked for.
    void expect_equal_gradients();

    [[nodiscard]] const Network& network() const { return network_; }
    [[nodiscard]] LayerOps& ops() { return *ops_; }
    [[nodiscard]] Reference& reference() { return reference_; }
    [[nodiscard]] HostBatch& batch() { return batch_; }
    [[nodiscard]] std::vector<float> gradient(ParameterId id) const;
    /// Parts of the arenas, padding included.
    [[nodiscard]] std::vector<float> parameters(std::size_t offset, std::size_t size) const;
    [[nodiscard]] std::vector<float> gradients(std::size_t offset, std::size_t size) const;
    [[nodiscard]] const std::vector<std::size_t>& offsets() const { return offsets_; }
    /// Winograd's transforms lose about a digit; tf32 has eleven bits, bf16 eight.
    [[nodiscard]] double tolerance() const;

private:
    Network network_;
    CompileOptions options_;
    Recorder recorder_;
    std::unique_ptr<LayerOps> ops_;
    Reference reference_;
    std::vector<std::size_t> offsets_;
    std::unique_ptr<Buffer> parameters_;
    std::unique_ptr<Buffer> gradients_;
    HostBatch batch_;
};

/// Training forward and backward agree with the reference, inference too.
void expect_conforms(Backend& backend, Network network, CompileOptions options);

}  // namespace layerledger::conformance
