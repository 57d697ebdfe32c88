// Stamps of the device's clock beside CUDA's events, on the same work. Skips where there is no GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "layerledger/backend/cuda.hpp"

namespace layerledger {
namespace {

constexpr std::size_t floats = 64U << 20U;  // some hundred microseconds to update
constexpr int updates = 60;

std::unique_ptr<Backend> backend_with(bool stamps) {
    return cuda::make_backend({.stamps = stamps}, RankMap{});
}

/// Nanoseconds between neighbouring marks with an update between them.
std::vector<double> spans(Backend& backend) {
    const auto parameters = backend.allocate(floats);
    const auto gradients = backend.allocate(floats);
    OptimizerStep step;
    step.kind = OptimizerKind::sgd;
    MarkSource& marks = backend.marks();
    std::vector<Mark> made{marks.rest_mark()};
    for (int i = 0; i < updates; ++i) {
        backend.update(step, {parameters->span(), gradients->span(), {}, {}});
        made.push_back(marks.mark());
        if (i % 7 == 0) {
            marks.iteration_ended();
        }
    }
    std::vector<double> lengths;
    for (std::size_t i = 1; i < made.size(); ++i) {
        lengths.push_back(
            static_cast<double>(marks.nanoseconds(made[i]) - marks.nanoseconds(made[i - 1])));
    }
    return lengths;
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

class GpuMarks : public ::testing::Test {
protected:
    void SetUp() override {
        if (const std::string why = cuda::why_unavailable(); !why.empty()) {
            GTEST_SKIP() << why;
        }
    }
};

TEST_F(GpuMarks, StampsSayWhatEventsSay) {
    const auto by_events = backend_with(false);
    EXPECT_EQ(by_events->info().marks, "events");
    const auto by_stamps = backend_with(true);
    if (!by_stamps->info().marks.starts_with("stamps")) {
        GTEST_SKIP() << "marks are " << by_stamps->info().marks;
    }
    static_cast<void>(spans(*by_events));  // loads the kernel
    const std::vector<double> of_events = spans(*by_events);
    const std::vector<double> of_stamps = spans(*by_stamps);
    EXPECT_GT(*std::ranges::min_element(of_stamps), 0);
    EXPECT_NEAR(median(of_stamps) / median(of_events), 1, 0.03);
}

// The host looks at its clock before it enqueues what the mark is behind, and when it has waited
// for it.
TEST_F(GpuMarks, StampsAreOnTheHostsClock) {
    const auto backend = backend_with(true);
    const auto values = backend->allocate(floats);
    MarkSource& marks = backend->marks();
    const auto now_ns = [] {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(
                   std::chrono::steady_clock::now().time_since_epoch())
            .count();
    };
    constexpr std::int64_t apart_ns = 10'000;  // by how much readings of the clocks may differ
    for (int i = 0; i < 20; ++i) {
        const std::int64_t before_ns = now_ns();
        static_cast<void>(backend->digest(values->span()));
        const Mark mark = marks.mark();
        const std::int64_t marked_ns = marks.nanoseconds(mark);
        EXPECT_GT(marked_ns, before_ns - apart_ns);
        EXPECT_LT(marked_ns, now_ns() + apart_ns);
    }
}

}  // namespace
}  // namespace layerledger
