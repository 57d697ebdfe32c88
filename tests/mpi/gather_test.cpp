#include "layerledger/record/gather.hpp"

#include <gmock/gmock.h>

#include "support/sample_run.hpp"

namespace layerledger {
namespace {

using ::testing::ElementsAreArray;
using testing::sample_account;
using testing::sample_facts;
using testing::sample_metrics;

class GatherTest : public ::testing::Test {
protected:
    [[nodiscard]] std::size_t rank() const { return static_cast<std::size_t>(world_.rank()); }

    void add(Gather& gather, std::int64_t iteration) const {
        gather.add(sample_facts(iteration), sample_account(run_, iteration, rank()),
                   sample_metrics(iteration, rank()));
    }

    Communicator world_ = Communicator::world();
    RunDescription run_ = testing::sample_description(static_cast<std::size_t>(world_.size()));
    RecordLayout layout_{run_.extents()};
    ClockMap clock_;
};

/// Bytes, because absent times are not equal to themselves.
template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
    return std::as_bytes(std::span(values));
}

TEST_F(GatherTest, BringsAllRowsToRank0InOrder) {
    Gather gather(world_, layout_, 42, clock_);
    for (const std::int64_t iteration : {0, 1, 2}) {
        add(gather, iteration);
    }
    EXPECT_EQ(gather.pending(), 3U);
    const RecordBlock block = gather.collect();
    EXPECT_EQ(gather.pending(), 0U);
    if (!world_.is_root()) {
        EXPECT_EQ(block.iterations(), 0U);
        EXPECT_TRUE(block.rows.empty());
        return;
    }
    const RecordBlock expected = testing::sample_block(run_, 0, 3);
    EXPECT_EQ(block.iterations(), 3U);
    EXPECT_EQ(block.facts[2].iteration, 2);
    EXPECT_EQ(block.starts_ns, expected.starts_ns);
    EXPECT_THAT(bytes_of(block.rows), ElementsAreArray(bytes_of(expected.rows)));
}

TEST_F(GatherTest, PutsStartsOnTheClockOfRank0) {
    // Rank r's clock is 1000 r ahead; it says 1 s + 10 r for what is 1 s - 990 r on rank 0.
    clock_.add({1, 1000L * world_.rank(), 0});
    Gather gather(world_, layout_, 42, clock_);
    add(gather, 0);
    const RecordBlock block = gather.collect();
    for (std::size_t i = 0; i < block.starts_ns.size(); ++i) {
        EXPECT_EQ(block.starts_ns[i], 1'000'000'000 - 990 * static_cast<std::int64_t>(i));
    }
}

TEST_F(GatherTest, StartsAfreshAfterEachBlock) {
    Gather gather(world_, layout_, 42, clock_);
    add(gather, 0);
    static_cast<void>(gather.collect());
    add(gather, 1);
    const RecordBlock block = gather.collect();
    if (world_.is_root()) {
        ASSERT_EQ(block.iterations(), 1U);
        EXPECT_EQ(block.facts[0].iteration, 1);
        EXPECT_EQ(block.rows.size(), run_.ranks.size() * layout_.size);
    }
}

TEST_F(GatherTest, OfNothingIsEmpty) {
    Gather gather(world_, layout_, 42, clock_);
    EXPECT_EQ(gather.collect().iterations(), 0U);
}

TEST_F(GatherTest, EndsOnAllRanksWhereOneHasOtherLayers) {
    if (world_.size() == 1) {
        GTEST_SKIP() << "one rank cannot disagree";
    }
    const std::uint64_t digest = world_.rank() == world_.size() - 1 ? 43 : 42;
    try {
        const Gather gather(world_, layout_, digest, clock_);
        FAIL() << "nothing was thrown";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::internal);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("disagree"));
    }
}

TEST_F(GatherTest, EndsOnAllRanksWhereOneBringsFewerIterations) {
    if (world_.size() == 1) {
        GTEST_SKIP() << "one rank cannot disagree";
    }
    Gather gather(world_, layout_, 42, clock_);
    add(gather, 0);
    if (world_.is_root()) {
        add(gather, 1);
    }
    EXPECT_THROW(static_cast<void>(gather.collect()), Error);
}

}  // namespace
}  // namespace layerledger
