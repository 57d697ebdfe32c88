#include <gmock/gmock.h>

#include <cmath>

#include "layerledger/record/run_reader.hpp"
#include "record/causality.hpp"
#include "support/sample_run.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::sample_block;
using testing::sample_description;
using testing::TemporaryFolder;

constexpr std::size_t ranks = 3;
constexpr std::int64_t iterations = 10;

/// Every rank's clock read before iteration `iteration`, all within `bound_ns`.
std::vector<ClockRecord> reading(std::int64_t iteration, std::int64_t bound_ns, double drift) {
    std::vector<ClockRecord> clocks;
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        clocks.push_back({iteration, static_cast<std::int64_t>(rank),
                          1'000'000'000 + iteration * 1'000'000, 0, rank == 0 ? 0 : bound_ns,
                          drift});
    }
    return clocks;
}

/// The sample run, of which some times were moved. Its ranks enter bucket 0 2001 us after a start
/// that is 10 ns later on each rank, and leave it at 2005 us; every fourth iteration is not
/// profiled.
class Crossings {
public:
    explicit Crossings(std::int64_t bound_ns) : writer_(folder_.path("run.h5"), run_, false) {
        writer_.add_clocks(reading(0, bound_ns, absent));
        bound_ns_ = bound_ns;
    }

    void end(std::size_t iteration, std::size_t rank, std::size_t bucket, double us) {
        const std::size_t row = rank * iterations + iteration;
        block_.rows[row * layout_.size + layout_.bucket_end + bucket] = static_cast<float>(us);
    }

    /// Read after iterations 0 to `read_at` - 1; the rest has no reading behind it.
    RunSummary finish(std::int64_t read_at = iterations) {
        writer_.add_clocks(reading(read_at, bound_ns_, 0));
        writer_.append(block_);
        EXPECT_TRUE(writer_.finish(RunStatus::complete));
        return summarize(writer_.path());
    }

    [[nodiscard]] std::vector<std::string> faults() const { return check_run_file(writer_.path()); }

private:
    TemporaryFolder folder_;
    RunDescription run_ = sample_description(ranks);
    RecordLayout layout_{run_.extents()};
    RecordBlock block_ = sample_block(run_, 0, iterations);
    RunWriter writer_;
    std::int64_t bound_ns_ = 0;
};

TEST(Causality, IsKeptByARunWhoseClocksAreRight) {
    Crossings crossings(500);
    const RunSummary summary = crossings.finish();
    ASSERT_TRUE(summary.causality);
    EXPECT_EQ(summary.causality->checked, 8 * 2);  // iterations 3 and 7 are not profiled
    EXPECT_EQ(summary.causality->within_bounds, 0);
    EXPECT_EQ(summary.causality->violations, 0);
    EXPECT_TRUE(std::isnan(summary.causality->worst_us));
    EXPECT_DOUBLE_EQ(summary.causality->widest_bound_us, 0.5);
    EXPECT_THAT(to_text(summary), HasSubstr("in none of 16 all-reduces a rank leaves before"));
    EXPECT_THAT(crossings.faults(), IsEmpty());
}

TEST(Causality, FindsEachPlantedViolationAndNamesTheWorst) {
    Crossings crossings(500);
    // Rank 0, whose clock is the measure, enters bucket 0 at 2001 us and bucket 1 at 2011 us.
    crossings.end(2, 0, 0, 1999);    // at least 2 us early
    crossings.end(5, 1, 1, 2001.5);  // 9.49 us, of which its clock explains 0.5
    crossings.end(6, 1, 0, 2000.5);  // 0.49 us, which its clock explains
    const RunSummary summary = crossings.finish();
    ASSERT_TRUE(summary.causality);
    EXPECT_EQ(summary.causality->checked, 16);
    EXPECT_EQ(summary.causality->violations, 2);
    EXPECT_EQ(summary.causality->within_bounds, 1);
    EXPECT_NEAR(summary.causality->worst_us, 8.99, 0.001);
    EXPECT_EQ(summary.causality->worst_iteration, 5);
    EXPECT_EQ(summary.causality->worst_bucket, 1);
    EXPECT_EQ(summary.causality->worst_rank, 1);
    EXPECT_THAT(to_text(summary), HasSubstr("WRONG: in 2 of 16 all-reduces a rank leaves"));
    EXPECT_THAT(
        crossings.faults(),
        Contains(HasSubstr("in 2 of 16 all-reduces a rank leaves before the last one enters "
                           "(most in iteration 5, bucket 1, rank 1: 8.99")));
}

TEST(Causality, IsNotJudgedWhereNoLaterReadingVouchesForTheClocks) {
    Crossings crossings(500);
    crossings.end(8, 0, 0, 1000);
    const RunSummary summary = crossings.finish(6);
    ASSERT_TRUE(summary.causality);
    EXPECT_EQ(summary.causality->checked, 5 * 2);
    EXPECT_EQ(summary.causality->violations, 0);
}

TEST(ClockBounds, CountHowFarAReadingIsFromTheLineOfThoseBefore) {
    const auto read = [](std::int64_t iteration, std::int64_t time_ns, std::int64_t offset_ns,
                         std::int64_t bound_ns, double drift) {
        return ClockRecord{iteration, 0, time_ns, offset_ns, bound_ns, drift};
    };
    const std::vector<ClockRecord> clocks{
        read(0, 0, 0, 1000, absent), read(10, 1'000'000, 3000, 2000, 3e-3),
        read(20, 2'000'000, 7000, 1500, 4e-3),
        read(15, 9'000'000, 0, 500, absent),  // another start, from a checkpoint before
        read(30, 9'500'000, 0, 700, 0)};
    const ClockBounds bounds(clocks, 1);
    EXPECT_THAT(bounds.at(0), ElementsAre(5));     // no line yet: 2 and 3
    EXPECT_THAT(bounds.at(10), ElementsAre(3));    // 2, and 1 from the line at 6
    EXPECT_THAT(bounds.at(15), ElementsAre(0.7));  // of the later start
    EXPECT_THAT(bounds.at(30), IsEmpty());
    EXPECT_DOUBLE_EQ(bounds.widest_us(), 5);
    EXPECT_TRUE(ClockBounds({}, 1).is_empty());
}

}  // namespace
}  // namespace layerledger
