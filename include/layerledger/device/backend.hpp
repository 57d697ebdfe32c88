// The ports of a backend: what a device must offer so that a network can be trained on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "layerledger/base/ids.hpp"
#include "layerledger/device/annotations.hpp"
#include "layerledger/device/kernel_watch.hpp"
#include "layerledger/network/network.hpp"
#include "layerledger/timeline/ledger.hpp"
#include "layerledger/timeline/recorder.hpp"
#include "layerledger/timeline/span.hpp"

namespace layerledger {

enum class Precision : unsigned char { fp32, tf32, bf16 };

/// Training drops out and uses the batch's statistics; inference does neither.
enum class Mode : unsigned char { training, inference };

/// What a rank computes on.
struct DeviceInfo {
    std::string backend;           ///< "cpu" or "cuda"
    std::string name;              ///< "AMD EPYC 9354, 2 threads, avx512_core_bf16"
    std::string uuid;              ///< empty on CPUs
    std::string marks;             ///< what moments are taken with
    int threads = 1;               ///< host threads that compute
    std::size_t memory_bytes = 0;  ///< what this rank may use
    bool has_own_memory = false;   ///< else the device computes in the host's
};

/// What this rank has taken of the memory of a device with memory of its own; NaN on others.
struct DeviceMemoryUse {
    double peak_bytes = absent;     ///< of what the backend asked for, largest at one time
    double library_bytes = absent;  ///< what went besides, to the device's libraries; now
};

/// `size` floats in the device's memory. Only the backend that owns them may look inside.
struct DeviceSpan {
    float* data = nullptr;
    std::size_t size = 0;

    [[nodiscard]] DeviceSpan subspan(std::size_t offset, std::size_t count) const noexcept {
        return {data + offset, count};
    }
};

/// Owns zero-initialised floats in the device's memory.
class Buffer {
public:
    virtual ~Buffer() = default;
    [[nodiscard]] virtual DeviceSpan span() noexcept = 0;
    /// Copies `host.size()` floats to or from `offset`. Waits for the device.
    virtual void upload(std::size_t offset, std::span<const float> host) = 0;
    virtual void download(std::size_t offset, std::span<float> host) const = 0;
};

/// One per-rank batch in host memory: images[N, C, H, W], normalised, and labels[N].
struct HostBatch {
    std::vector<float> images;
    std::vector<std::int32_t> labels;
    /// Images that count, from the front; the rest only fills the batch up (validation's last).
    std::int64_t valid = 0;
    /// Batches with the same name have the same content, so that a device may keep one; 0: none.
    std::uint64_t name = 0;
};

/// Sums over the valid images of the newest batch.
struct BatchMetrics {
    double loss = 0;        ///< sum of -log p(label) of the main classifier
    std::int64_t top1 = 0;  ///< images whose label has the highest score
    std::int64_t topk = 0;  ///< images whose label is among the k highest
    std::int64_t images = 0;
};

/// How one operation is computed here, for the record.
struct Implementation {
    OpId op;
    std::string algorithm;  ///< "jit:avx512_core", "engine 45 (k2=5 k14=4) on tensor cores"
    std::size_t workspace_bytes = 0;
    std::size_t activation_bytes = 0;
    std::size_t gradient_bytes = 0;  ///< of its inputs, as far as it does not hand on its own
};

enum class OptimizerKind : unsigned char { sgd, momentum, adagrad, adadelta };

/// State vectors per parameter: velocity (momentum), sum of squares (Adagrad), two averages
/// (Adadelta).
[[nodiscard]] constexpr std::size_t state_count(OptimizerKind kind) noexcept {
    switch (kind) {
        case OptimizerKind::sgd: return 0;
        case OptimizerKind::momentum:
        case OptimizerKind::adagrad: return 1;
        case OptimizerKind::adadelta: return 2;
    }
    return 0;
}

/// One update. With g = gradient_scale * gradient + weight_decay * w:
///   sgd       w -= lr * g
///   momentum  v = momentum * v + g;  w -= lr * v                      (as PyTorch's SGD)
///   adagrad   s += g^2;  w -= lr * g / (sqrt(s) + epsilon)            (Duchi et al. 2011)
///   adadelta  s = rho*s + (1-rho)*g^2;  d = sqrt(u+epsilon)/sqrt(s+epsilon) * g;
///             u = rho*u + (1-rho)*d^2;  w -= lr * d                   (Zeiler 2012)
struct OptimizerStep {
    OptimizerKind kind = OptimizerKind::momentum;
    float learning_rate = 0.01F;
    float momentum = 0.9F;
    float weight_decay = 0.0F;
    float rho = 0.9F;
    float epsilon = 1e-6F;
    float gradient_scale = 1.0F;  ///< 1/world size where the collective sums
};

/// What one update works on: slices of equal length of the flat arenas.
struct OptimizerSlices {
    DeviceSpan parameters;
    DeviceSpan gradients;
    DeviceSpan state0;  ///< empty where the kind has fewer
    DeviceSpan state1;
};

struct CompileOptions {
    std::int64_t batch = 1;
    Precision precision = Precision::fp32;
    std::uint64_t seed = 0;  ///< of dropout; differs from rank to rank
    std::int64_t topk = 5;
    bool inference_only = false;
    bool gradients_of_input = false;  ///< also produce d loss / d image, for gradient checks
};

/// A network made ready to run on one device at one batch size.
///
/// Parameters and gradients live outside, in flat arenas that the caller allocates: the device says
/// how many floats it wants for each (its own layout and padding), the caller says where they are.
/// Padding is zero and stays zero under every update.
class LayerOps {
public:
    virtual ~LayerOps() = default;

    /// Floats that each parameter takes in an arena, by ParameterId.
    [[nodiscard]] virtual std::span<const std::size_t> parameter_storage() const = 0;

    /// Fixes the arenas; parameter p begins at offsets[p] in both. Offsets are multiples of 16.
    virtual void bind(DeviceSpan parameters, DeviceSpan gradients,
                      std::span<const std::size_t> offsets) = 0;

    /// Converts between the network's dims (Parameter::dims, row-major) and the device's layout.
    virtual void import_parameter(ParameterId id, std::span<const float> values) = 0;
    virtual void export_parameter(ParameterId id, std::span<float> values) const = 0;
    virtual void export_gradient(ParameterId id, std::span<float> values) const = 0;

    /// Makes a batch ready to be copied to the device, where the host has to do something for it:
    /// until then the device waits for its input, not for a copy. Without it `load` does it.
    virtual void stage(const HostBatch& /*batch*/) {}
    /// Copies a batch, that which was staged last if one was, to the device. The host batch may be
    /// reused when this returns.
    virtual void load(const HostBatch& batch) = 0;

    /// Before a training pass that a WorkGraph may enqueue: what differs from pass to pass, the
    /// masks of dropout, goes to the device.
    virtual void begin_pass() {}
    virtual void forward(LayerId layer, Mode mode) = 0;
    /// Writes (never adds to) the gradients of the layer's parameters.
    virtual void backward(LayerId layer) = 0;
    /// Sends loss and accuracy of the newest forward pass to the host, into one of `metric_slots`.
    /// Does not wait for the device.
    virtual void send_metrics(std::size_t slot) = 0;
    static constexpr std::size_t metric_slots = 8;
    /// What was sent into `slot` last; waits until it is there.
    [[nodiscard]] virtual BatchMetrics metrics(std::size_t slot) const = 0;

    /// The output of an operation as [N, C, H, W], or the gradient with respect to it. For tests.
    [[nodiscard]] virtual std::vector<float> output(OpId op) const = 0;
    [[nodiscard]] virtual std::vector<float> output_gradient(OpId op) const = 0;

    /// Running statistics of batch norms and the like, flat; equal in length on every rank.
    [[nodiscard]] virtual std::vector<float> state() const = 0;
    virtual void set_state(std::span<const float> state) = 0;

    /// Where the random numbers of the training passes (dropout) have got to, flat; equal in length
    /// on every rank. Set back, the passes that follow draw the same numbers again.
    [[nodiscard]] virtual std::vector<std::uint64_t> random_state() const = 0;
    /// Throws Error{bad_data} where the length is another network's.
    virtual void set_random_state(std::span<const std::uint64_t> state) = 0;

    [[nodiscard]] virtual std::vector<Implementation> implementations() const = 0;
};

/// Work that was enqueued once and is enqueued again as a whole.
class WorkGraph {
public:
    virtual ~WorkGraph() = default;
    /// Enqueues it. Its marks are made anew, one behind the other: the first is returned.
    [[nodiscard]] virtual Mark launch() = 0;
};

/// A device and everything that is made on it.
class Backend {
public:
    virtual ~Backend() = default;

    [[nodiscard]] virtual const DeviceInfo& info() const noexcept = 0;
    [[nodiscard]] virtual MarkSource& marks() noexcept = 0;
    /// For tools that look on; on CPUs there are none.
    [[nodiscard]] virtual Annotations& annotations() noexcept { return no_annotations_; }

    [[nodiscard]] virtual std::unique_ptr<Buffer> allocate(std::size_t floats) = 0;

    /// Throws Error{unavailable} where the device does not compute in this precision; so does
    /// `compile`.
    virtual void require(Precision precision) const = 0;

    /// Device bytes that `compile` would take, arenas left out. Cheap: no memory is allocated.
    [[nodiscard]] virtual std::size_t estimate_bytes(const Network& network,
                                                     const CompileOptions& options) const = 0;

    /// `network` and `recorder` must outlive the result. Operations are recorded at Level::op.
    [[nodiscard]] virtual std::unique_ptr<LayerOps> compile(const Network& network,
                                                            const CompileOptions& options,
                                                            Recorder& recorder) = 0;

    /// At most one at a time. Null where there are no kernels, on CPUs; throws Error{unavailable}
    /// where they cannot be seen.
    [[nodiscard]] virtual std::unique_ptr<KernelWatch> watch_kernels() { return nullptr; }

    [[nodiscard]] virtual DeviceMemoryUse memory_use() const { return {}; }

    virtual void update(const OptimizerStep& step, const OptimizerSlices& slices) = 0;

    /// Calls `work`, which only computes, but does nothing of what it enqueues. The n-th mark made
    /// in it is -n. Updates in it take the learning rate that was set last when it is launched.
    /// Null where the backend has no queue.
    [[nodiscard]] virtual std::unique_ptr<WorkGraph> capture(
        const std::function<void()>& /*work*/) {
        return nullptr;
    }
    virtual void set_learning_rate(float /*learning_rate*/) {}

    /// A 64-bit digest of the bits in `values`. Equal values give equal digests on every rank.
    [[nodiscard]] virtual std::uint64_t digest(DeviceSpan values) = 0;

private:
    Annotations no_annotations_;
};

}  // namespace layerledger
