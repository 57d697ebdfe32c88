// A device that works through queues, without a device: every length and delay is given by hand.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
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
        if (capture != nullptr) {
            capture->push_back({ns, no_event});
            return;
        }
        stream.free_ns = std::max(stream.free_ns, host_ns + launch_ns) + ns;
    }
    /// What follows on `later` waits for what is on `earlier`.
    static void hold(Stream& later, const Stream& earlier) {
        later.free_ns = std::max(later.free_ns, earlier.free_ns);
    }

    /// What is captured of the compute stream: work, or the record of an event.
    struct Step {
        std::int64_t ns = 0;
        std::size_t event = no_event;  ///< by the order of their records
    };
    static constexpr std::size_t no_event = static_cast<std::size_t>(-1);
    std::vector<Step>* capture = nullptr;

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
    void provide(std::size_t count) {
        while (ring_ < count) {
            moments_ns_[ring_++] = -1;
        }
    }
    [[nodiscard]] std::size_t add() {
        const std::size_t event = beside + moments_ns_.size();
        moments_ns_[event] = -1;
        return event;
    }
    [[nodiscard]] std::size_t record_captured() {
        queue_.capture->push_back({0, captured_++});
        return add();
    }
    /// Launches what was captured, with the events of its turn.
    void launch(const std::vector<SimulatedQueue::Step>& steps,
                const std::vector<std::size_t>& events) {
        for (const SimulatedQueue::Step& step : steps) {
            if (step.event == SimulatedQueue::no_event) {
                queue_.enqueue(queue_.compute, step.ns);
            } else {
                queue_.enqueue(queue_.compute, queue_.event_ns);
                moments_ns_.at(events.at(step.event - steps_first(steps))) = queue_.compute.free_ns;
            }
        }
    }
    void record(std::size_t event, const Stream& stream) noexcept {
        auto& mutable_stream = const_cast<Stream&>(stream);
        queue_.enqueue(mutable_stream, queue_.event_ns);
        moments_ns_.at(event) = mutable_stream.free_ns;
        queue_.journal.push_back(text(&stream == &queue_.compute ? "record" : "beside"));
    }
    /// For an event of a graph CUDA may not wait.
    void wait(std::size_t event) noexcept {
        if (event < beside && queue_.host_ns < moments_ns_.at(event)) {
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
    static constexpr std::size_t beside = 1U << 20U;

    static std::size_t steps_first(const std::vector<SimulatedQueue::Step>& steps) {
        std::size_t first = SimulatedQueue::no_event;
        for (const SimulatedQueue::Step& step : steps) {
            first = std::min(first, step.event);
        }
        return first;
    }

    SimulatedQueue& queue_;
    std::size_t ring_ = 0;
    std::size_t captured_ = 0;
    std::map<std::size_t, std::int64_t> moments_ns_;
};

}  // namespace layerledger::testing
