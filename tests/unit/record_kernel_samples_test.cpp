#include <gtest/gtest.h>

#include <cmath>

#include "layerledger/record/kernel_samples.hpp"

namespace layerledger {
namespace {

KernelAccount two_layers() {
    KernelAccount account;
    account.layers.resize(6);
    account.layers[1] = {100, 98, 80, 20, 5, 3};  // the first layer's backward pass
    account.layers[5] = {10, absent, 0, 10, 0, 0};
    account.copies[1] = {1, 24, 2.5, 0.5};
    account.kernels = 3;
    account.iteration_time = 500;
    account.busy = 300;
    account.mismatch = 0.25;
    return account;
}

TEST(KernelSamples, HasARowForEachPhaseThatWasMarkedAndEachKindOfCopies) {
    const KernelSamples samples = gather_kernels(Communicator(), 2, 41, two_layers());
    ASSERT_EQ(samples.kernels.size(), 2U);
    const KernelRecord& backward = samples.kernels[0];
    EXPECT_EQ(backward.iteration, 41);
    EXPECT_EQ(backward.rank, 0);
    EXPECT_EQ(backward.layer, 0);
    EXPECT_EQ(backward.phase, 1);
    EXPECT_EQ(backward.kernels, 3);
    EXPECT_DOUBLE_EQ(backward.marked_us, 100);
    EXPECT_DOUBLE_EQ(backward.seen_us, 98);
    EXPECT_DOUBLE_EQ(backward.error_us, 2);
    EXPECT_DOUBLE_EQ(backward.busy_us, 80);
    EXPECT_DOUBLE_EQ(backward.idle_us, 20);
    EXPECT_DOUBLE_EQ(backward.beside_us, 5);
    EXPECT_EQ(samples.kernels[1].layer, 1);
    EXPECT_EQ(samples.kernels[1].phase, 2);
    EXPECT_TRUE(std::isnan(samples.kernels[1].error_us));
    ASSERT_EQ(samples.copies.size(), 1U);
    EXPECT_EQ(samples.copies[0].kind, 1);
    EXPECT_EQ(samples.copies[0].bytes, 24);
    EXPECT_DOUBLE_EQ(samples.copies[0].hidden_us, 0.5);
    ASSERT_EQ(samples.samples.size(), 1U);
    EXPECT_EQ(samples.samples[0].kernels, 3);
    EXPECT_DOUBLE_EQ(samples.samples[0].busy_us, 300);
    EXPECT_DOUBLE_EQ(samples.samples[0].mismatch_us, 0.25);
}

TEST(KernelSamples, WhereRecordsWereLostOnlyThatIsSaid) {
    KernelAccount account;
    account.dropped = 7;
    account.iteration_time = 500;
    const KernelSamples samples = gather_kernels(Communicator(), 2, 41, account);
    EXPECT_TRUE(samples.kernels.empty());
    EXPECT_TRUE(samples.copies.empty());
    ASSERT_EQ(samples.samples.size(), 1U);
    EXPECT_EQ(samples.samples[0].dropped, 7);
    EXPECT_DOUBLE_EQ(samples.samples[0].iteration_us, 500);
    EXPECT_TRUE(std::isnan(samples.samples[0].busy_us));
}

}  // namespace
}  // namespace layerledger
