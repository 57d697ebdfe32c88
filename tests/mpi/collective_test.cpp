#include "layerledger/device/collective.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "layerledger/backend/cpu.hpp"

namespace layerledger {
namespace {

using namespace std::chrono_literals;

class CpuCollective : public testing::TestWithParam<bool> {
protected:
    std::unique_ptr<Collective> make(std::chrono::nanoseconds deadline = 60s) {
        return cpu::make_collective(world_, {.overlap = GetParam(), .deadline = deadline});
    }
    Communicator world_ = Communicator::world();
};

TEST_P(CpuCollective, SumsEveryBucketOverAllRanks) {
    const auto collective = make();
    const auto ranks = static_cast<float>(world_.size());
    for (int iteration = 0; iteration < 20; ++iteration) {
        std::vector<float> values(1000);
        for (std::size_t i = 0; i < values.size(); ++i) {
            values[i] = static_cast<float>(i) + static_cast<float>(world_.rank());
        }
        std::vector<BucketSpan> spans(4);
        for (std::size_t b = 0; b < spans.size(); ++b) {
            collective->start(BucketId(b), {values.data() + 250 * b, 250}, spans[b]);
        }
        collective->join();
        for (std::size_t i = 0; i < values.size(); ++i) {
            ASSERT_FLOAT_EQ(values[i],
                            ranks * static_cast<float>(i) + ranks * (ranks - 1) / 2);
        }
        for (const BucketSpan& span : spans) {
            EXPECT_LE(span.start, span.transfer);
            EXPECT_LE(span.transfer, span.end);
        }
    }
}

TEST_P(CpuCollective, WaitingForTheSlowestIsToldFromTransfer) {
    if (world_.size() == 1) {
        GTEST_SKIP() << "one rank waits for nobody";
    }
    const auto collective = make();
    std::vector<float> values(16, 1.0F);
    BucketSpan span;
    world_.barrier();
    if (world_.rank() == 0) {
        std::this_thread::sleep_for(200ms);
    }
    collective->start(BucketId{0}, {values.data(), values.size()}, span);
    collective->join();
    const std::int64_t wait_ns = span.transfer - span.start;
    const std::int64_t transfer_ns = span.end - span.transfer;
    if (world_.rank() == 0) {
        EXPECT_LT(wait_ns, 100'000'000);  // the others were there long ago
    } else {
        EXPECT_GT(wait_ns, 100'000'000);
        EXPECT_LT(transfer_ns, wait_ns);
    }
}

TEST_P(CpuCollective, ARankThatNeverComesIsAnErrorThatNamesTheBucket) {
    if (world_.size() == 1) {
        GTEST_SKIP() << "one rank waits for nobody";
    }
    {
        const auto collective = make(100ms);
        std::vector<float> values(16, 1.0F);
        BucketSpan span;
        if (world_.rank() > 0) {
            collective->start(BucketId{3}, {values.data(), values.size()}, span);
            try {
                collective->join();
                ADD_FAILURE() << "no deadline";
            } catch (const Error& error) {
                EXPECT_NE(std::string(error.what()).find("gradient bucket 3"), std::string::npos);
            }
        }
        world_.barrier();
    }
}

INSTANTIATE_TEST_SUITE_P(Overlap, CpuCollective, testing::Values(true, false),
                         [](const auto& overlap) { return overlap.param ? "on" : "off"; });

}  // namespace
}  // namespace layerledger
