// A device that works through queues, without a device: every length and delay is given by hand.
#pragma once

#include <algorithm>
#include <cmath>
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
    std::int64_t launch_ns = 3'000;                     // from enqueueing to the device
    std::int64_t wake_ns = 3'000;                       // from the device to whoever waits
    double device_rate = 1;                             // its clock's seconds in one of the host's
    std::int64_t event_ns = 0;                          // how long an event holds a stream up
    std::int64_t stamp_ns = 0;                          // and a stamp
    std::int64_t stamping_ns = 0;                       // that the host takes to make one
    std::int64_t epoch_ns = 1'700'000'000'000'000'000;  // what the stamps' clock counts from
    bool stamps = false;                                // whether it has such a clock
    Stream compute;
    Stream copies;

    void work_host(std::int64_t ns) { host_ns += ns; }
    void enqueue(Stream& stream, std::int64_t ns) {
        if (capture != nullptr) {
            capture->push_back({ns, no_mark});
            return;
        }
        stream.free_ns = std::max(stream.free_ns, host_ns + launch_ns) + ns;
    }
    /// What follows on `later` waits for what is on `earlier`.
    static void hold(Stream& later, const Stream& earlier) {
        later.free_ns = std::max(later.free_ns, earlier.free_ns);
    }

    /// What is captured of the compute stream: work, or a mark.
    struct Step {
        std::int64_t ns = 0;
        std::size_t mark = no_mark;  ///< by the order in which they were captured
    };
    static constexpr std::size_t no_mark = static_cast<std::size_t>(-1);
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
    [[nodiscard]] bool stamps() const noexcept { return queue_.stamps; }
    [[nodiscard]] std::size_t add() {
        const std::size_t number = beside + moments_ns_.size();
        moments_ns_[number] = -1;
        return number;
    }
    [[nodiscard]] std::size_t mark_captured() {
        queue_.capture->push_back({0, captured_++});
        return add();
    }
    /// Launches what was captured, with the marks of its turn.
    void launch(const std::vector<SimulatedQueue::Step>& steps,
                const std::vector<std::size_t>& numbers) {
        for (const SimulatedQueue::Step& step : steps) {
            if (step.mark == SimulatedQueue::no_mark) {
                queue_.enqueue(queue_.compute, step.ns);
                continue;
            }
            const std::size_t number = numbers.at(step.mark - steps_first(steps));
            if (queue_.stamps) {
                write(number);
            } else {
                queue_.enqueue(queue_.compute, queue_.event_ns);
                moments_ns_.at(number) = queue_.compute.free_ns;
            }
        }
    }
    void stamp(std::size_t number) noexcept {
        write(number);
        queue_.work_host(queue_.stamping_ns);
        queue_.journal.emplace_back("stamp");
    }
    void fence(std::size_t fence) noexcept {
        fences_ns_[fence] = queue_.compute.free_ns;
        queue_.journal.emplace_back("fence");
    }
    void wait_fence(std::size_t fence) noexcept {
        if (queue_.host_ns < fences_ns_.at(fence)) {
            queue_.host_ns = fences_ns_[fence] + queue_.wake_ns;
        }
        queue_.journal.emplace_back("wait");
    }
    void publish(std::size_t first, std::size_t count) noexcept {
        queue_.enqueue(queue_.compute, queue_.stamp_ns);
        for (std::size_t number = first; number < first + count; ++number) {
            if (written_ns_.contains(number)) {
                seen_[number] = {written_ns_[number], queue_.compute.free_ns};
            }
        }
    }
    [[nodiscard]] std::int64_t stamp_ns(std::size_t number) noexcept {
        if (!seen_.contains(number) || seen_[number].from_ns > queue_.host_ns) {
            queue_.journal.emplace_back("refused");
        }
        // Its clock has steps of 32 ns.
        const auto since = static_cast<double>(seen_[number].moment_ns) * queue_.device_rate;
        return queue_.epoch_ns + std::llround(since) / 32 * 32;
    }
    void stall() noexcept { queue_.enqueue(queue_.compute, 30'000); }
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
        std::size_t first = SimulatedQueue::no_mark;
        for (const SimulatedQueue::Step& step : steps) {
            first = std::min(first, step.mark);
        }
        return first;
    }
    void write(std::size_t number) noexcept {
        queue_.enqueue(queue_.compute, queue_.stamp_ns);
        written_ns_[number] = queue_.compute.free_ns;
        if (number >= beside) {
            seen_[number] = {queue_.compute.free_ns, queue_.compute.free_ns};
        }
    }

    SimulatedQueue& queue_;
    std::size_t ring_ = 0;
    std::size_t captured_ = 0;
    std::map<std::size_t, std::int64_t> moments_ns_;
    std::map<std::size_t, std::int64_t> fences_ns_;
    /// A stamp as the host sees it.
    struct Seen {
        std::int64_t moment_ns = 0;
        std::int64_t from_ns = 0;  // since when it sees that one
    };
    std::map<std::size_t, std::int64_t> written_ns_;
    std::map<std::size_t, Seen> seen_;
};

}  // namespace layerledger::testing
