// Marks as events of CUDA and stamps of the device's clock.
#pragma once

#include <vector>

#include "handles.hpp"
#include "queue_marks.hpp"
#include "stamps.hpp"

namespace layerledger::cuda {

/// Events for QueueMarks. All are made before the first iteration.
class TimedEvents {
public:
    using Stream = cuda::Stream;

    TimedEvents(const Stream& compute, bool stamps);

    [[nodiscard]] const Stream& compute() const noexcept { return compute_; }
    [[nodiscard]] bool stamps() const noexcept { return stamps_.usable(); }
    [[nodiscard]] const std::string& description() const noexcept { return stamps_.description(); }
    void provide(std::size_t count);
    void record(std::size_t event, const Stream& stream) noexcept;
    void stamp(std::size_t number) noexcept { stamps_.write(number); }
    [[nodiscard]] std::size_t mark_captured() noexcept;
    void wait(std::size_t event) noexcept;
    [[nodiscard]] double elapsed_ns(std::size_t from, std::size_t to) noexcept;
    void fence(std::size_t fence) noexcept;
    void wait_fence(std::size_t fence) noexcept;
    void publish(std::size_t first, std::size_t count) noexcept { stamps_.publish(first, count); }
    [[nodiscard]] std::int64_t stamp_ns(std::size_t number) const noexcept {
        return stamps_.ns(number);
    }
    void stall() noexcept;
    [[nodiscard]] static std::int64_t host_ns() noexcept;

    /// Before a capture of the compute stream.
    void begin_capture() {
        captured_nodes_.clear();
        stamps_.make_room();
    }
    /// The nodes of the marks that were captured since, in their order.
    [[nodiscard]] const std::vector<cudaGraphNode_t>& captured_nodes() const noexcept {
        return captured_nodes_;
    }
    /// A mark beside the ring, for another executable of a graph.
    [[nodiscard]] std::size_t add();
    /// Lets a node of it make that mark.
    void redirect(cudaGraphExec_t executable, cudaGraphNode_t node, std::size_t number) const;

private:
    static constexpr std::size_t beside = std::size_t{1} << 32U;

    [[nodiscard]] cudaEvent_t get(std::size_t event) const noexcept {
        return (event < beside ? ring_[event] : captured_[event - beside]).get();
    }

    const Stream& compute_;
    Stamps stamps_;
    std::vector<Event> ring_;
    std::vector<Event> captured_;
    std::vector<Event> fences_;
    std::vector<cudaGraphNode_t> captured_nodes_;
};

using EventMarks = QueueMarks<TimedEvents>;

}  // namespace layerledger::cuda
