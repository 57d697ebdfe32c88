// A clock that only moves when told to, as a source of marks.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "layerledger/timeline/span.hpp"

namespace layerledger::testing {

class ManualClock final : public MarkSource {
public:
    explicit ManualClock(int latency = 0) : latency_(latency) {}

    void advance(std::int64_t ns) {
        if (capture_ != nullptr) {
            capture_->push_back(ns);
        } else {
            now_ns_ += ns;
        }
    }

    /// What happens while work is captured: times that pass, and marks.
    using Script = std::vector<std::int64_t>;
    void begin_capture(Script& script) {
        capture_ = &script;
        captured_marks_ = 0;
    }
    void end_capture() { capture_ = nullptr; }
    /// Lets it happen. The first of its marks.
    Mark replay(const Script& script) {
        const Mark first = next_ticket_;
        for (const std::int64_t ns : script) {
            if (ns == a_mark) {
                static_cast<void>(mark());
            } else {
                advance(ns);
            }
        }
        return first;
    }
    [[nodiscard]] std::int64_t now_ns() const noexcept { return now_ns_; }

    /// Marks are ticket numbers, as on a GPU, so that nobody takes them for times.
    [[nodiscard]] Mark mark() noexcept override {
        if (capture_ != nullptr) {
            capture_->push_back(a_mark);
            return -++captured_marks_;
        }
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
    static constexpr std::int64_t a_mark = -1;

    int latency_;
    Script* capture_ = nullptr;
    Mark captured_marks_ = 0;
    bool lost_processor_ = false;
    std::int64_t now_ns_ = 1'000'000;
    Mark next_ticket_ = 500;
    std::map<Mark, std::int64_t> times_;
};

}  // namespace layerledger::testing
