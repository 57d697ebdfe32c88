// The Backend port on a GPU: memory, updates and digests.
#include "backend.hpp"

#include "captured_graph.hpp"
#include "compiled_network.hpp"
#include "cupti_watch.hpp"
#include "layerledger/base/contract.hpp"
#include "precision_support.hpp"

namespace layerledger::cuda {
namespace {

class GpuBuffer final : public Buffer {
public:
    GpuBuffer(Gpu& gpu, std::size_t floats)
        : gpu_(gpu), memory_(floats * sizeof(float)), size_(floats) {}

    [[nodiscard]] DeviceSpan span() noexcept override { return {memory_.as<float>(), size_}; }
    void upload(std::size_t offset, std::span<const float> host) override {
        LL_EXPECT(offset + host.size() <= size_);
        LL_CUDA(cudaMemcpyAsync(memory_.as<float>() + offset, host.data(), host.size_bytes(),
                                cudaMemcpyHostToDevice, gpu_.compute().get()));
        gpu_.renew_cast({memory_.as<float>() + offset, host.size()});
        gpu_.compute().synchronize();
    }
    void download(std::size_t offset, std::span<float> host) const override {
        LL_EXPECT(offset + host.size() <= size_);
        LL_CUDA(cudaMemcpyAsync(host.data(), memory_.as<float>() + offset, host.size_bytes(),
                                cudaMemcpyDeviceToHost, gpu_.compute().get()));
        gpu_.compute().synchronize();
    }

private:
    Gpu& gpu_;
    DeviceMemory memory_;
    std::size_t size_;
};

}  // namespace

CudaBackend::CudaBackend(const BackendOptions& options, const RankMap& rank)
    : gpu_(options, rank), engines_(gpu_), digest_(sizeof(unsigned long long)) {}

std::unique_ptr<Buffer> CudaBackend::allocate(std::size_t floats) {
    return std::make_unique<GpuBuffer>(gpu_, floats);
}

void CudaBackend::require(Precision precision) const {
    require_precision(precision, gpu_.info().name, gpu_.major(), gpu_.minor());
}

std::size_t CudaBackend::estimate_bytes(const Network& network,
                                        const CompileOptions& options) const {
    return cuda::estimate_bytes(network, options);
}

std::unique_ptr<LayerOps> CudaBackend::compile(const Network& network,
                                               const CompileOptions& options, Recorder& recorder) {
    const auto compiled = [&] {
        return std::make_unique<CompiledNetwork>(gpu_, engines_, network, options, recorder);
    };
    const Communicator* world = gpu_.world();
    if (world == nullptr || world->size() == 1) {
        require(options.precision);
        return compiled();
    }
    // Rank 0 is first, and the others take the engines that it found by trial: all use the same,
    // and none waits in the middle of it for one that has failed.
    world->agree([&] { require(options.precision); });
    std::unique_ptr<LayerOps> ops;
    world->agree_on_root([&] { ops = compiled(); });
    engines_.share(*world);
    return ops != nullptr ? std::move(ops) : compiled();
}

std::unique_ptr<KernelWatch> CudaBackend::watch_kernels() {
    return std::make_unique<CuptiWatch>(gpu_);
}

void CudaBackend::update(const OptimizerStep& step, const OptimizerSlices& slices) {
    LL_EXPECT(slices.parameters.size == slices.gradients.size);
    LL_EXPECT(slices.parameters.size % 4 == 0);
    kernels::update(step, gpu_.is_capturing() ? gpu_.learning_rate().get() : nullptr, slices,
                    gpu_.cast_of(slices.parameters), gpu_.compute().get());
    LL_CUDA(cudaPeekAtLastError());
}

std::unique_ptr<WorkGraph> CudaBackend::capture(const std::function<void()>& work) {
    return std::make_unique<CapturedGraph>(gpu_, work);
}

void CudaBackend::set_learning_rate(float learning_rate) {
    if (learning_rate != learning_rate_) {
        gpu_.learning_rate().send(learning_rate, gpu_.compute());
        learning_rate_ = learning_rate;
    }
}

std::uint64_t CudaBackend::digest(DeviceSpan values) {
    const cudaStream_t stream = gpu_.compute().get();
    unsigned long long sum = 0;
    LL_CUDA(cudaMemsetAsync(digest_.data(), 0, digest_.bytes(), stream));
    kernels::digest(values.data, values.size, digest_.as<unsigned long long>(), stream);
    LL_CUDA(cudaMemcpyAsync(&sum, digest_.data(), sizeof sum, cudaMemcpyDeviceToHost, stream));
    gpu_.compute().synchronize();
    return sum;
}

std::unique_ptr<Backend> make_backend(const BackendOptions& options, const RankMap& rank) {
    return std::make_unique<CudaBackend>(options, rank);
}

}  // namespace layerledger::cuda
