// A device that works through queues, without a device: every length and delay is given by hand.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "layerledger/base/text.hpp"

namespace layerledger::testing {

class SimulatedQueue {
public:
    struct Stream {
        std::int64_t free_ns = 0;  // when what was enqueued is done, on the host's clock
    };

    std::int64_t host_ns = 5'000'000;
    std::int64_t launch_ns = 3'000;  // from enqueueing to the device
    std::int64_t wake_ns = 3'000;    // from the device to whoever waits
    double device_rate = 1;          // its clock's seconds in one of the host's
    std::int64_t event_ns = 0;       // how long an event holds a stream up
    Stream compute;
    Stream copies;

    void work_host(std::int64_t ns) { host_ns += ns; }
    void enqueue(Stream& stream, std::int64_t ns) {
        stream.free_ns = std::max(stream.free_ns, host_ns + launch_ns) + ns;
    }
    /// What follows on `later` waits for what is on `earlier`.
    static void hold(Stream& later, const Stream& earlier) {
        later.free_ns = std::max(later.free_ns, earlier.free_ns);
    }

    /// What is asked of events, one word a call.
    std::vector<std::string> journal;
    [[nodiscard]] std::size_t count(const std::string& word) const {
        return static_cast<std::size_t>(
            std::count_if(journal.begin(), journal.end(),
                          [&](const std::string& entry) { return entry.rfind(word, 0) == 0; }));
    }
};

/// Its events, as QueueMarks wants them. A misuse that CUDA would refuse is in the journal as
/// "refused".
class SimulatedEvents {
public:
    using Stream = SimulatedQueue::Stream;

    explicit SimulatedEvents(SimulatedQueue& queue) : queue_(queue) {}

    [[nodiscard]] const Stream& compute() const noexcept { return queue_.compute; }
    void provide(std::size_t count) { moments_ns_.resize(count, -1); }
    void record(std::size_t event, const Stream& stream) noexcept {
        auto& mutable_stream = const_cast<Stream&>(stream);
        queue_.enqueue(mutable_stream, queue_.event_ns);
        moments_ns_.at(event) = mutable_stream.free_ns;
        queue_.journal.push_back(text(&stream == &queue_.compute ? "record" : "beside"));
    }
    void wait(std::size_t event) noexcept {
        if (queue_.host_ns < moments_ns_.at(event)) {
            queue_.host_ns = moments_ns_[event] + queue_.wake_ns;
        }
        queue_.journal.emplace_back("wait");
    }
    double elapsed_ns(std::size_t from, std::size_t to) noexcept {
        for (const std::size_t event : {from, to}) {
            if (moments_ns_.at(event) < 0 || moments_ns_[event] > queue_.host_ns) {
                queue_.journal.emplace_back("refused");
            }
        }
        queue_.journal.emplace_back("elapsed");
        const auto ns = static_cast<double>(moments_ns_[to] - moments_ns_[from]);
        // CUDA answers in milliseconds, as a float.
        return static_cast<double>(static_cast<float>(ns * queue_.device_rate / 1e6)) * 1e6;
    }
    [[nodiscard]] std::int64_t host_ns() noexcept {
        queue_.host_ns += 30;  // to ask takes time
        return queue_.host_ns;
    }

private:
    SimulatedQueue& queue_;
    std::vector<std::int64_t> moments_ns_;
};

}  // namespace layerledger::testing
