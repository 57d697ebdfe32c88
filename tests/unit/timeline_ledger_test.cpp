#include <gtest/gtest.h>

#include <cmath>

#include "layerledger/timeline/ledger.hpp"

namespace layerledger {
namespace {

Span layer(int index, Phase phase, std::int64_t start, std::int64_t end) {
    return {SpanKind::layer, phase, index, start, end};
}
Span activity(Activity which, std::int64_t start, std::int64_t end) {
    return {SpanKind::activity, Phase::forward, static_cast<std::int32_t>(which), start, end};
}
Span join(std::int64_t start, std::int64_t end) {
    return {SpanKind::join, Phase::backward, 0, start, end};
}

float of(const Account& account, Activity which) {
    return account.activity_time[index(which)];
}

// Nanoseconds of everything that the account names, added up independently of the ledger.
double named_us(const Account& account) {
    double sum = 0;
    for (const float us : account.layer_time) {
        sum += std::isnan(us) ? 0 : us;
    }
    for (const float us : account.activity_time) {
        sum += std::isnan(us) ? 0 : us;
    }
    return sum;
}

// One iteration of 100 us with two layers and one bucket; window starts at 1 ms.
struct OneBucket {
    std::vector<Span> spans{activity(Activity::input_wait, 1'000'000, 1'003'000),
                            layer(0, Phase::forward, 1'004'000, 1'014'000),
                            layer(1, Phase::forward, 1'014'000, 1'034'000),
                            layer(1, Phase::backward, 1'034'000, 1'054'000),
                            layer(0, Phase::backward, 1'055'000, 1'065'000),
                            join(1'065'000, 1'085'000),
                            layer(0, Phase::update, 1'085'000, 1'090'000),
                            layer(1, Phase::update, 1'090'000, 1'099'000)};
    // Ready under the backward of layer 0; the slowest rank arrives 5 us into the join; 12 us of
    // transfer follow; waking up takes 3 us.
    std::vector<BucketSpan> buckets{{1'054'000, 1'056'000, 1'070'000, 1'082'000}};

    [[nodiscard]] Account account(Level level = Level::layer) const {
        return close_account({1'000'000, 1'100'000, level, spans, buckets}, {2, 0, 1});
    }
};

TEST(Ledger, LayersKeepTheirTimesAndStarts) {
    const Account account = OneBucket{}.account();
    EXPECT_FLOAT_EQ(account.iteration_time, 100.0F);
    EXPECT_FLOAT_EQ(account.layer_time[0], 10.0F);      // layer 0 forward
    EXPECT_FLOAT_EQ(account.layer_time[1], 10.0F);      // backward
    EXPECT_FLOAT_EQ(account.layer_time[2], 5.0F);       // update
    EXPECT_FLOAT_EQ(account.layer_time[3 + 1], 20.0F);  // layer 1 backward
    EXPECT_FLOAT_EQ(account.layer_start[0], 4.0F);
    EXPECT_FLOAT_EQ(account.layer_start[3 + 2], 90.0F);
}

TEST(Ledger, AJoinIsSplitByWhatTheBucketDid) {
    const Account account = OneBucket{}.account();
    EXPECT_FLOAT_EQ(of(account, Activity::allreduce_wait), 5.0F);       // 1065 to 1070
    EXPECT_FLOAT_EQ(of(account, Activity::allreduce_transfer), 12.0F);  // 1070 to 1082
    EXPECT_FLOAT_EQ(of(account, Activity::idle_sync), 3.0F);            // 1082 to 1085
    EXPECT_FLOAT_EQ(account.allreduce_hidden, 9.0F);                    // 1056 to 1065
}

TEST(Ledger, WhatNoSpanCoversIsUnaccounted) {
    const Account account = OneBucket{}.account();
    EXPECT_FLOAT_EQ(account.unaccounted, 3.0F);  // 1003-1004, 1054-1055, 1099-1100
    EXPECT_NEAR(named_us(account) + account.unaccounted, account.iteration_time, 1e-4);
}

TEST(Ledger, BucketTimesCountFromTheIterationsStart) {
    const Account account = OneBucket{}.account();
    EXPECT_FLOAT_EQ(account.bucket_ready[0], 54.0F);
    EXPECT_FLOAT_EQ(account.bucket_start[0], 56.0F);
    EXPECT_FLOAT_EQ(account.bucket_transfer[0], 70.0F);
    EXPECT_FLOAT_EQ(account.bucket_end[0], 82.0F);
}

TEST(Ledger, CopiesHaveAPlaceOnTheirStreamOrWhereTheyWereMade) {
    OneBucket iteration;
    const auto copy_to = activity(Activity::memcpy_h2d, 1'099'000, 1'099'500);
    iteration.spans.push_back(copy_to);
    iteration.spans.push_back(activity(Activity::memcpy_d2h, 1'099'500, 1'100'000));
    const Account account = iteration.account();
    EXPECT_FLOAT_EQ(account.h2d_start, 99.0F);
    EXPECT_FLOAT_EQ(account.h2d_end, 99.5F);
    EXPECT_FLOAT_EQ(account.d2h_start, 99.5F);
    EXPECT_FLOAT_EQ(account.d2h_end, 100.0F);
    const std::vector<CopySpan> copies{{990'000, 1'002'000}};  // begun in the iteration before
    const std::vector<Span> waiting{copy_to};
    const Account beside =
        close_account({1'000'000, 1'100'000, Level::layer, waiting, {}, copies}, {2, 0, 0});
    EXPECT_FLOAT_EQ(beside.h2d_start, -10.0F);
    EXPECT_FLOAT_EQ(beside.h2d_end, 2.0F);
    EXPECT_TRUE(std::isnan(beside.d2h_start));
}

TEST(Ledger, WhatWasNotMeasuredIsAbsent) {
    OneBucket iteration;
    iteration.spans.erase(iteration.spans.begin() + 1);
    const Account account = iteration.account();
    EXPECT_TRUE(std::isnan(account.layer_time[0]));
    EXPECT_TRUE(std::isnan(account.memcpy_hidden));
    EXPECT_TRUE(std::isnan(account.launch_bound));
}

TEST(Ledger, LevelOffKnowsTheDurationAndItsOwnCostOnly) {
    OneBucket iteration;
    iteration.spans = {activity(Activity::measurement, 1'000'000, 1'001'000)};
    const Account account = iteration.account(Level::off);
    EXPECT_FLOAT_EQ(account.iteration_time, 100.0F);
    EXPECT_FLOAT_EQ(of(account, Activity::measurement), 1.0F);
    EXPECT_TRUE(std::isnan(of(account, Activity::input_wait)));
    EXPECT_TRUE(std::isnan(account.unaccounted));
    EXPECT_TRUE(std::isnan(account.bucket_end[0]));
}

TEST(Ledger, LevelIterationDoesNotClaimToCloseTheAccount) {
    const Account account = OneBucket{}.account(Level::iteration);
    EXPECT_FLOAT_EQ(of(account, Activity::input_wait), 3.0F);
    EXPECT_TRUE(std::isnan(account.unaccounted));
}

TEST(Ledger, TransferOfOneBucketOutranksTheWaitOfAnother) {
    const std::vector<Span> spans{join(0, 10'000)};
    // Bucket 0 is on its way until 8 us; bucket 1 waits from 2 us to 9 us.
    const std::vector<BucketSpan> buckets{{0, 0, 1'000, 8'000}, {0, 2'000, 9'000, 9'500}};
    const Account account =
        close_account({0, 10'000, Level::layer, spans, buckets}, {0, 0, buckets.size()});
    EXPECT_FLOAT_EQ(of(account, Activity::allreduce_wait), 2.0F);      // 0-1 and 8-9
    EXPECT_FLOAT_EQ(of(account, Activity::allreduce_transfer), 7.5F);  // 1-8 and 9-9.5
    EXPECT_FLOAT_EQ(of(account, Activity::idle_sync), 0.5F);
    EXPECT_FLOAT_EQ(account.unaccounted, 0.0F);
}

TEST(Ledger, OperationsAreNotedAndNotAdded) {
    const std::vector<Span> spans{{SpanKind::op, Phase::forward, 1, 1'000, 4'000},
                                  layer(0, Phase::forward, 0, 5'000)};
    const Account account = close_account({0, 5'000, Level::op, spans, {}}, {1, 2, 0});
    EXPECT_FLOAT_EQ(account.op_time[3], 3.0F);
    EXPECT_TRUE(std::isnan(account.op_time[0]));
    EXPECT_FLOAT_EQ(account.unaccounted, 0.0F);
}

TEST(Ledger, ALongIterationStillClosesToTheNanosecond) {
    std::vector<Span> spans;
    std::int64_t now = 0;
    for (int i = 0; i < 1'000; ++i) {
        spans.push_back(layer(0, Phase::forward, now, now + 3'333'333));
        now += 3'333'334;  // 1 ns of hole each
    }
    const Account account = close_account({0, now, Level::layer, spans, {}}, {1, 0, 0});
    EXPECT_FLOAT_EQ(account.unaccounted, 1.0F);
}

}  // namespace
}  // namespace layerledger
