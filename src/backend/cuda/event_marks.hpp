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
    void wait(std::size_t event) noexcept;
    [[nodiscard]] double elapsed_ns(std::size_t from, std::size_t to) noexcept;
    [[nodiscard]] static std::int64_t host_ns() noexcept;

private:
    const Stream& compute_;
    std::vector<Event> events_;
};

using EventMarks = QueueMarks<TimedEvents>;

}  // namespace layerledger::cuda
