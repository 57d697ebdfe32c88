#include "event_marks.hpp"

#include <chrono>

#include "kernels/kernels.hpp"

namespace layerledger::cuda {
namespace {

constexpr unsigned long long stall_ns = 30'000;  // longer than a host takes to enqueue three things

}  // namespace

TimedEvents::TimedEvents(const Stream& compute, bool stamps)
    : compute_(compute), stamps_(compute, stamps) {
    for (std::size_t i = 0; i < EventMarks::fences; ++i) {
        fences_.emplace_back();
    }
}

void TimedEvents::provide(std::size_t count) {
    compute_.synchronize();
    while (ring_.size() < count) {
        ring_.emplace_back(true);
    }
    stamps_.provide(count);
}

void TimedEvents::record(std::size_t event, const Stream& stream) noexcept {
    check_quietly(cudaEventRecord(get(event), stream.get()), "cudaEventRecord");
}

// An external record is a node of its own, which notes the moment whenever the graph runs; so is a
// stamp. What is captured next would depend on that node alone.
std::size_t TimedEvents::mark_captured() noexcept {
    const std::size_t number = add();
    if (stamps()) {
        stamps_.write_captured(number);
    } else {
        check_quietly(
            cudaEventRecordWithFlags(get(number), compute_.get(), cudaEventRecordExternal),
            "cudaEventRecordWithFlags");
    }
    cudaStreamCaptureStatus status{};
    const cudaGraphNode_t* nodes = nullptr;
    std::size_t count = 0;
    check_quietly(cudaStreamGetCaptureInfo(compute_.get(), &status, nullptr, nullptr, &nodes,
                                           nullptr, &count),
                  "cudaStreamGetCaptureInfo");
    captured_nodes_.push_back(count == 1 ? nodes[0] : nullptr);
    return number;
}

std::size_t TimedEvents::add() {
    if (stamps()) {
        return stamps_.add();
    }
    captured_.emplace_back(true);
    return beside + captured_.size() - 1;
}

void TimedEvents::redirect(cudaGraphExec_t executable, cudaGraphNode_t node,
                           std::size_t number) const {
    if (stamps()) {
        stamps_.redirect(executable, node, number);
    } else {
        LL_CUDA(cudaGraphExecEventRecordNodeSetEvent(executable, node, get(number)));
    }
}

void TimedEvents::wait(std::size_t event) noexcept {
    check_quietly(cudaEventSynchronize(get(event)), "cudaEventSynchronize");
}

double TimedEvents::elapsed_ns(std::size_t from, std::size_t to) noexcept {
    float milliseconds = 0;
    check_quietly(cudaEventElapsedTime(&milliseconds, get(from), get(to)), "cudaEventElapsedTime");
    return static_cast<double>(milliseconds) * 1e6;
}

void TimedEvents::fence(std::size_t fence) noexcept {
    check_quietly(cudaEventRecord(fences_[fence].get(), compute_.get()), "cudaEventRecord");
}

void TimedEvents::wait_fence(std::size_t fence) noexcept {
    check_quietly(cudaEventSynchronize(fences_[fence].get()), "cudaEventSynchronize");
}

void TimedEvents::stall() noexcept {
    kernels::stall(stall_ns, compute_.get());
}

std::int64_t TimedEvents::host_ns() noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace layerledger::cuda
