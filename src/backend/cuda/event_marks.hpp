// Marks as events of CUDA.
#pragma once

#include <vector>

#include "handles.hpp"
#include "queue_marks.hpp"

namespace layerledger::cuda {

/// Events for QueueMarks. All are made before the first iteration.
class TimedEvents {
public:
    using Stream = cuda::Stream;

    explicit TimedEvents(const Stream& compute) : compute_(compute) {}

    [[nodiscard]] const Stream& compute() const noexcept { return compute_; }
    void provide(std::size_t count);
    void record(std::size_t event, const Stream& stream) noexcept;
    [[nodiscard]] std::size_t record_captured() noexcept;
    void wait(std::size_t event) noexcept;
    [[nodiscard]] double elapsed_ns(std::size_t from, std::size_t to) noexcept;
    [[nodiscard]] static std::int64_t host_ns() noexcept;

    /// An event beside the ring, for a graph.
    [[nodiscard]] std::size_t add();
    [[nodiscard]] cudaEvent_t get(std::size_t event) const noexcept {
        return (event < beside ? ring_[event] : captured_[event - beside]).get();
    }

private:
    static constexpr std::size_t beside = std::size_t{1} << 32U;

    const Stream& compute_;
    std::vector<Event> ring_;
    std::vector<Event> captured_;
};

using EventMarks = QueueMarks<TimedEvents>;

}  // namespace layerledger::cuda
