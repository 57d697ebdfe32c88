#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <thread>

#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

#include "processor_watch.hpp"

namespace layerledger::cpu {
namespace {

using namespace std::chrono_literals;

bool kernel_tells() {
#if __has_include(<sys/rseq.h>)
    return __rseq_size > 0;
#else
    return false;
#endif
}

/// This thread, and those that it starts, on one processor.
class OneProcessor {
public:
    OneProcessor() {
        sched_getaffinity(0, sizeof before_, &before_);
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(static_cast<std::size_t>(sched_getcpu()), &one);
        sched_setaffinity(0, sizeof one, &one);
    }
    ~OneProcessor() { sched_setaffinity(0, sizeof before_, &before_); }
    OneProcessor(const OneProcessor&) = delete;
    OneProcessor& operator=(const OneProcessor&) = delete;

private:
    cpu_set_t before_{};
};

TEST(ProcessorWatch, SeesThatAnotherThreadGotTheProcessor) {
    if (!kernel_tells()) {
        GTEST_SKIP() << "the C library has no restartable sequences here";
    }
    const OneProcessor pinned;
    ProcessorWatch watch;
    std::atomic<bool> stop = false;
    std::thread other([&] {
        while (!stop) {
        }
    });
    int losses = 0;
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (losses < 5 && std::chrono::steady_clock::now() < deadline) {
        losses += watch.lost() ? 1 : 0;
    }
    stop = true;
    other.join();
    EXPECT_EQ(losses, 5);
}

TEST(ProcessorWatch, ToSleepIsNotToLoseTheProcessor) {
    ProcessorWatch watch;
    int kept = 0;
    for (int i = 0; i < 50; ++i) {
        std::this_thread::sleep_for(1ms);
        kept += watch.lost() ? 0 : 1;
    }
    EXPECT_GT(kept, 0);  // not all: others may want the processor just then
}

}  // namespace
}  // namespace layerledger::cpu
