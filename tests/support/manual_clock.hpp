// A clock that only moves when told to, as a source of marks.
#pragma once

#include <map>
#include <utility>

#include "layerledger/timeline/span.hpp"

namespace layerledger::testing {

class ManualClock final : public MarkSource {
public:
    explicit ManualClock(int latency = 0) : latency_(latency) {}

    void advance(std::int64_t ns) { now_ns_ += ns; }

    /// Marks are ticket numbers, as on a GPU, so that nobody takes them for times.
    [[nodiscard]] Mark mark() noexcept override {
        const Mark ticket = next_ticket_++;
        times_[ticket] = now_ns_;
        return ticket;
    }
    [[nodiscard]] std::int64_t nanoseconds(Mark mark) const noexcept override {
        return times_.at(mark);
    }
    [[nodiscard]] int latency() const noexcept override { return latency_; }

    /// Time goes on while the processor runs something else.
    void preempt(std::int64_t ns) {
        advance(ns);
        lost_processor_ = true;
    }
    bool lost_processor() noexcept override { return std::exchange(lost_processor_, false); }

private:
    int latency_;
    bool lost_processor_ = false;
    std::int64_t now_ns_ = 1'000'000;
    Mark next_ticket_ = 500;
    std::map<Mark, std::int64_t> times_;
};

}  // namespace layerledger::testing
