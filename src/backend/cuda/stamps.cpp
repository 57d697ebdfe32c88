#include "stamps.hpp"

#include "kernels/kernels.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
namespace {

// The first that launch a kernel before the one ahead of it has ended. Code made for older ones does
// not wait for that one.
constexpr int first_major = 9;
constexpr int first_code = 90;
constexpr double coarsest_ns = 1000;

}  // namespace

Stamps::Stamps(const Stream& compute, bool wanted) : compute_(compute) {
    int device = 0;
    int major = 0;
    LL_CUDA(cudaGetDevice(&device));
    LL_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    cudaFuncAttributes code{};
    LL_CUDA(cudaFuncGetAttributes(&code, kernels::stamp_function()));
    if (!wanted || major < first_major || code.binaryVersion < first_code) {
        return;
    }
    constexpr int steps = 200;
    constexpr unsigned long long most_ns = 1'000'000;
    const DeviceMemory measured(sizeof(double));
    double step_ns = 0;
    kernels::clock_steps(steps, most_ns, measured.as<double>(), compute.get());
    LL_CUDA(cudaMemcpyAsync(&step_ns, measured.data(), sizeof step_ns, cudaMemcpyDeviceToHost,
                            compute.get()));
    compute.synchronize();
    usable_ = step_ns > 0 && step_ns <= coarsest_ns;
    description_ = usable_ ? text("stamps of the device's clock")
                           : text("events (the device's clock has steps of ", step_ns, " ns)");
}

void Stamps::provide(std::size_t count) {
    if (usable_) {
        ring_ = DeviceMemory(count * sizeof(unsigned long long));
        published_.clear();
        published_.emplace_back(count * sizeof(unsigned long long));
    }
}

std::size_t Stamps::add() {
    if (added_ == chunks_.size() * chunk) {
        chunks_.emplace_back(chunk * sizeof(unsigned long long));
    }
    return beside + added_++;
}

void Stamps::make_room() {
    if (usable_ && chunks_.size() * chunk - added_ < chunk) {
        chunks_.emplace_back(chunk * sizeof(unsigned long long));
    }
}

void Stamps::write(std::size_t number) const noexcept {
    kernels::stamp(address(number), true, compute_.get());
}

// Between the nodes of a graph an early launch saves nothing.
void Stamps::write_captured(std::size_t number) const noexcept {
    kernels::stamp(address(number), false, compute_.get());
}

void Stamps::redirect(cudaGraphExec_t executable, cudaGraphNode_t node, std::size_t number) const {
    unsigned long long* moment = address(number);
    void* argument = &moment;
    cudaKernelNodeParams parameters{};
    parameters.func = const_cast<void*>(kernels::stamp_function());
    parameters.gridDim = dim3(1);
    parameters.blockDim = dim3(1);
    parameters.kernelParams = &argument;
    LL_CUDA(cudaGraphExecKernelNodeSetParams(executable, node, &parameters));
}

void Stamps::publish(std::size_t first, std::size_t count) const noexcept {
    kernels::stamps_out(ring_.as<unsigned long long>() + first,
                        published_.front().as<unsigned long long>() + first,
                        static_cast<int>(count), compute_.get());
}

std::int64_t Stamps::ns(std::size_t number) const noexcept {
    return static_cast<std::int64_t>(number < beside
                                         ? published_.front().as<unsigned long long>()[number]
                                         : *beside_ring(number));
}

}  // namespace layerledger::cuda
