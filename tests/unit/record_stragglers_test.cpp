#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "layerledger/base/phase.hpp"
#include "layerledger/comm/clock_map.hpp"
#include "layerledger/hdf5/file.hpp"
#include "layerledger/record/run_reader.hpp"
#include "layerledger/timeline/stragglers.hpp"
#include "record/event_table.hpp"
#include "record/open_run_file.hpp"
#include "support/sample_run.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

using ::testing::HasSubstr;
using testing::sample_block;
using testing::sample_description;
using testing::TemporaryFolder;

constexpr std::size_t ranks = 4;
constexpr std::size_t iterations = 30;
constexpr std::size_t late_rank = 2;
constexpr std::size_t late_layer = 2;
constexpr float skew_us = 1000;
constexpr std::int64_t begun_ns = 1'000'000'000;
constexpr std::int64_t ended_ns = 1'050'000'000;

constexpr std::array<double, ranks> offsets_ns{0, 10e6, -25e6, 3e9};
constexpr std::array<double, ranks> drifts{0, 20e-6, -15e-6, 5e-6};
/// How wrong each rank's clock is read, of what it may be.
constexpr std::array<double, ranks> errors{0, 0.9, -0.9, 0.5};

std::int64_t offset_ns(std::size_t rank, std::int64_t root_ns) {
    return std::llround(offsets_ns[rank] + drifts[rank] * static_cast<double>(root_ns));
}

/// The clocks of all ranks read at one moment, each wrong by up to `bound_ns`.
std::vector<ClockRecord> reading(std::vector<ClockMap>& maps, std::int64_t iteration,
                                 std::int64_t root_ns, std::int64_t bound_ns) {
    std::vector<ClockRecord> records;
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        const std::int64_t error_ns = std::llround(errors[rank] * static_cast<double>(bound_ns));
        const ClockReading read{root_ns, offset_ns(rank, root_ns) + error_ns,
                                rank == 0 ? 0 : bound_ns};
        maps[rank].add(read);
        records.push_back({iteration, static_cast<std::int64_t>(rank), read.time_ns, read.offset_ns,
                           read.bound_ns, maps[rank].drift()});
    }
    return records;
}

/// The file of a run whose ranks are alike, on clocks of their own, but for one: it is slow in the
/// backward pass of one layer, and its last gradients exist 1 ms after the others'.
std::string write_skewed(const TemporaryFolder& folder, std::int64_t bound_ns,
                         bool reads_clocks = true) {
    const RunDescription run = sample_description(ranks);
    const RecordLayout layout(run.extents());
    std::vector<ClockMap> maps(ranks);
    const auto before = reading(maps, 0, begun_ns, bound_ns);
    const auto after = reading(maps, iterations, ended_ns, bound_ns);
    RecordBlock block = sample_block(run, 0, iterations);
    const auto row_of = [&](std::size_t rank, std::size_t iteration) {
        return block.rows.begin() +
               static_cast<std::ptrdiff_t>((rank * iterations + iteration) * layout.size);
    };
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        for (std::size_t i = 0; i < iterations; ++i) {
            std::copy_n(row_of(0, i), layout.size, row_of(rank, i));
            const std::int64_t start_ns = block.starts_ns[i];
            block.starts_ns[rank * iterations + i] =
                maps[rank].to_root_ns(start_ns + offset_ns(rank, start_ns));
        }
    }
    const std::size_t cell = late_layer * phases.size() + index(Phase::backward);
    for (std::size_t i = 0; i < iterations; ++i) {
        const auto row = row_of(late_rank, i);
        row[static_cast<std::ptrdiff_t>(layout.layer_time + cell)] += skew_us;
        row[static_cast<std::ptrdiff_t>(layout.bucket_ready + run.buckets.size() - 1)] += skew_us;
    }
    RunWriter writer(folder.path("run.h5"), run, false);
    if (reads_clocks) {
        writer.add_clocks(before);
    }
    writer.append(block);
    if (reads_clocks) {
        writer.add_clocks(after);
    }
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    return writer.path();
}

/// What the file says of every iteration: who, and why. By how much is another matter.
void expect_who_and_why(const std::vector<LateIteration>& late) {
    EXPECT_EQ(late.size(), 21U);  // 28 after warm-up, 7 of them not profiled
    for (const LateIteration& one : late) {
        EXPECT_EQ(one.rank, late_rank);
        EXPECT_EQ(one.layer, late_layer);
        EXPECT_EQ(one.phase, index(Phase::backward));
        EXPECT_EQ(one.cause, static_cast<std::int64_t>(LateCause::compute));
    }
}

TEST(StragglerTables, TellHowLateARankIsOnOneClock) {
    const TemporaryFolder folder;
    const hdf5::File file = open_run_file(write_skewed(folder, 2'000));
    const std::vector<LateIteration> late = read_late(file);
    expect_who_and_why(late);
    for (const LateIteration& one : late) {
        EXPECT_NEAR(one.late_us, skew_us, 0.05 * skew_us) << one.iteration;
    }
    EXPECT_EQ(file.text_attribute("late/late_by", "refused"), "");
}

TEST(StragglerTables, NameTheStragglerThatThereIsAndNoOther) {
    const TemporaryFolder folder;
    const RunSummary summary = summarize(write_skewed(folder, 2'000));
    ASSERT_EQ(summary.stragglers.size(), 1U);
    const Straggler& straggler = summary.stragglers.front();
    EXPECT_EQ(straggler.rank, late_rank);
    EXPECT_EQ(straggler.layer, late_layer);
    EXPECT_EQ(straggler.phase, index(Phase::backward));
    EXPECT_EQ(straggler.cause, static_cast<std::int64_t>(LateCause::compute));
    EXPECT_NEAR(straggler.excess_us, skew_us, 1);
    const std::string told = to_text(summary);
    EXPECT_THAT(told, HasSubstr("output backward of rank 2 on node1: 1.000 ms ("));
    EXPECT_THAT(told, HasSubstr(" %) more than on the others (1 of 1 windows)"));
    EXPECT_DOUBLE_EQ(summary.last_share[late_rank], 1);
}

// An iteration takes 1.77 ms, of which the clocks may be wrong by a twentieth.
TEST(StragglerTables, RefuseToSayHowLateOnClocksThatAreNotKnownWellEnough) {
    for (const auto& [bound_ns, is_refused] : {std::pair{80'000, false}, {100'000, true}}) {
        const TemporaryFolder folder;
        const hdf5::File file = open_run_file(write_skewed(folder, bound_ns));
        const std::vector<LateIteration> late = read_late(file);
        expect_who_and_why(late);
        for (const LateIteration& one : late) {
            EXPECT_EQ(std::isnan(one.late_us), is_refused);
        }
        const std::string why = file.text_attribute("late/late_by", "refused").value();
        EXPECT_EQ(why.empty(), !is_refused);
        if (is_refused) {
            EXPECT_THAT(why, HasSubstr("the clocks are known to 101.0 us only"));
            EXPECT_THAT(why, HasSubstr("an iteration takes 17"));
        }
    }
}

TEST(StragglerTables, RefuseToSayHowLateWhereClocksWereNotRead) {
    const TemporaryFolder folder;
    const hdf5::File file = open_run_file(write_skewed(folder, 2'000, false));
    const std::vector<LateIteration> late = read_late(file);
    expect_who_and_why(late);
    for (const LateIteration& one : late) {
        EXPECT_TRUE(std::isnan(one.late_us));
    }
    EXPECT_EQ(file.text_attribute("late/late_by", "refused"),
              "the clocks were not read before and after");
}

}  // namespace
}  // namespace layerledger
