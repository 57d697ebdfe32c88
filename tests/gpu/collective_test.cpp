// Both ways of summing between GPUs, on as few as one GPU. Without a GPU every test skips.
#include "layerledger/device/collective.hpp"

#include <gmock/gmock.h>

#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "layerledger/backend/cuda.hpp"

namespace layerledger {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

struct Way {
    cuda::CollectiveKind kind;
    bool overlap;
};

void PrintTo(const Way& way, std::ostream* out) {
    *out << (way.kind == cuda::CollectiveKind::nccl ? "nccl" : "mpi")
         << (way.overlap ? ", overlapped" : ", after backward");
}

class GpuCollective : public testing::TestWithParam<Way> {
protected:
    void SetUp() override {
        if (const std::string why = cuda::why_unavailable(); !why.empty()) {
            GTEST_SKIP() << why;
        }
        rank_ = map_rank(world_);
        backend_ = cuda::make_backend({.sharers = cuda::count_sharers(world_, rank_, true)}, rank_);
    }

    std::unique_ptr<Collective> make(std::chrono::nanoseconds deadline = 60s) {
        return cuda::make_collective(
            *backend_, rank_, world_,
            {.kind = GetParam().kind, .overlap = GetParam().overlap, .deadline = deadline});
    }

    Communicator world_ = Communicator::world();
    RankMap rank_;
    std::unique_ptr<Backend> backend_;
};

constexpr std::size_t bucket_floats = 1 << 16;
constexpr std::size_t bucket_count = 3;

TEST_P(GpuCollective, SumsEveryBucketOverAllRanks) {
    const auto collective = make();
    const auto buffer = backend_->allocate(bucket_count * bucket_floats);
    const auto ranks = static_cast<float>(world_.size());
    const auto mine = static_cast<float>(world_.rank());
    backend_->marks().reserve(64);
    for (int iteration = 0; iteration < 10; ++iteration) {
        std::vector<float> values(bucket_count * bucket_floats);
        for (std::size_t i = 0; i < values.size(); ++i) {
            values[i] = static_cast<float>(i % 1000) + mine + static_cast<float>(iteration);
        }
        buffer->upload(0, values);
        std::vector<BucketSpan> spans(bucket_count);
        for (std::size_t b = 0; b < bucket_count; ++b) {
            spans[b].ready = backend_->marks().mark();
            collective->start(BucketId(b), buffer->span().subspan(b * bucket_floats, bucket_floats),
                              spans[b]);
        }
        collective->join();
        buffer->download(0, values);  // behind the join, on the compute stream
        for (std::size_t i = 0; i < values.size(); ++i) {
            const float expected =
                ranks * (static_cast<float>(i % 1000) + static_cast<float>(iteration)) +
                ranks * (ranks - 1) / 2;
            ASSERT_EQ(values[i], expected) << "at " << i << " in iteration " << iteration;
        }
        const MarkSource& marks = backend_->marks();
        for (const BucketSpan& span : spans) {
            EXPECT_LE(marks.nanoseconds(span.ready), marks.nanoseconds(span.start));
            EXPECT_LE(marks.nanoseconds(span.start), marks.nanoseconds(span.transfer));
            EXPECT_LE(marks.nanoseconds(span.transfer), marks.nanoseconds(span.end));
        }
    }
}

// One number behind the bucket, from one rank, in every other iteration.
TEST_P(GpuCollective, AVoteReachesEveryRankWithTheIterationThatItWasCastIn) {
    const auto collective = make();
    ASSERT_EQ(collective->votes(), world_.size() == 1 ? Votes::none : Votes::late);
    if (world_.size() == 1) {
        return;
    }
    const auto buffer = backend_->allocate(bucket_floats + 1);
    backend_->marks().reserve(64);
    const DeviceSpan vote = buffer->span().subspan(bucket_floats, 1);
    const auto cast = [](std::size_t iteration) { return iteration % 2 == 1; };
    for (std::size_t iteration = 0; iteration < 6; ++iteration) {
        const float mine = cast(iteration) && world_.rank() == 1 ? 1 : 0;
        if (iteration > 0) {
            static_cast<void>(collective->vote(iteration - 1));  // it may be on its way until then
        }
        buffer->upload(bucket_floats, {&mine, 1});
        BucketSpan span;
        collective->start(BucketId{0}, buffer->span(), span);
        collective->send_vote(vote, iteration);
        collective->join();
    }
    for (std::size_t iteration = 0; iteration < 6; ++iteration) {
        EXPECT_EQ(collective->vote(iteration), cast(iteration) ? 1 : 0) << iteration;
    }
}

TEST_P(GpuCollective, NotesNothingWhereNobodyAsks) {
    const auto collective = make();
    const auto buffer = backend_->allocate(bucket_floats);
    backend_->marks().reserve(16);
    const std::vector<float> ones(bucket_floats, 1);
    buffer->upload(0, ones);
    BucketSpan span;
    span.is_wanted = false;
    const Mark before = backend_->marks().mark();
    collective->start(BucketId{0}, buffer->span(), span);
    collective->join();
    EXPECT_EQ(backend_->marks().mark(), before + 1);
    EXPECT_EQ(span.end, 0);
    std::vector<float> values(bucket_floats);
    buffer->download(0, values);
    EXPECT_EQ(values.front(), static_cast<float>(world_.size()));
    EXPECT_EQ(values.back(), static_cast<float>(world_.size()));
}

TEST_P(GpuCollective, WaitingForTheSlowestIsToldFromTransfer) {
    if (world_.size() == 1) {
        GTEST_SKIP() << "one rank waits for nobody";
    }
    const auto collective = make();
    const auto buffer = backend_->allocate(bucket_floats);
    backend_->marks().reserve(16);
    BucketSpan span;
    world_.barrier();
    if (world_.rank() == 0) {
        std::this_thread::sleep_for(300ms);
    }
    span.ready = backend_->marks().mark();
    collective->start(BucketId{0}, buffer->span(), span);
    collective->join();
    std::vector<float> values(bucket_floats);
    buffer->download(0, values);
    const MarkSource& marks = backend_->marks();
    const std::int64_t wait_ns = marks.nanoseconds(span.transfer) - marks.nanoseconds(span.start);
    if (world_.rank() == 1) {
        EXPECT_GT(wait_ns, 100'000'000);
    } else {
        EXPECT_LT(wait_ns, 200'000'000);
    }
}

TEST_P(GpuCollective, ARankThatDoesNotComeEndsTheWaitOfTheOthersWithItsName) {
    if (world_.size() == 1) {
        GTEST_SKIP() << "one rank waits for nobody";
    }
    const auto collective = make(2s);
    const auto buffer = backend_->allocate(bucket_floats);
    backend_->marks().reserve(16);
    if (world_.rank() == 0) {
        std::optional<std::string> message;
        BucketSpan span;
        try {
            collective->start(BucketId{7}, buffer->span(), span);
            collective->join();
            std::vector<float> values(bucket_floats);
            buffer->download(0, values);  // ends once the sum was ended
            collective->start(BucketId{8}, buffer->span(), span);
            collective->join();
        } catch (const DeadlineError& error) {  // so that it is asked who is missing
            EXPECT_EQ(error.code(), ExitCode::internal);
            message = error.what();
        }
        ASSERT_TRUE(message.has_value());
        EXPECT_THAT(*message, HasSubstr("bucket 7"));
        if (GetParam().kind == cuda::CollectiveKind::nccl) {  // it does not come back to life
            EXPECT_THROW(
                {
                    collective->start(BucketId{9}, buffer->span(), span);
                    collective->join();
                },
                DeadlineError);
        }
    } else {
        std::this_thread::sleep_for(5s);
    }
}

INSTANTIATE_TEST_SUITE_P(Ways, GpuCollective,
                         testing::Values(Way{cuda::CollectiveKind::nccl, true},
                                         Way{cuda::CollectiveKind::nccl, false},
                                         Way{cuda::CollectiveKind::mpi, true},
                                         Way{cuda::CollectiveKind::mpi, false}));

}  // namespace
}  // namespace layerledger
