#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "layerledger/timeline/kernel_account.hpp"

namespace layerledger {
namespace {

constexpr std::int64_t start_ns = 7'000'000'000;  // of the iteration, on the marks' clock

/// Two layers whose forward passes abut: 10 to 110 us, 110 to 210 us after the iteration's start.
/// The second one's backward pass comes later: 300 to 400 us, of an iteration of 500 us.
Account two_layers() {
    Account account({2, 0, 0});
    account.start_ns = start_ns;
    account.iteration_time = 500;
    account.layer_start[0] = 10;
    account.layer_time[0] = 100;
    account.layer_start[3] = 110;
    account.layer_time[3] = 100;
    account.layer_start[4] = 300;
    account.layer_time[4] = 100;
    return account;
}

/// An observer whose clock is elsewhere and, where asked for, runs faster than the marks'.
struct Observer {
    explicit Observer(double rate = 1) : rate_(rate) {
        for (const double us : {2.0, 4.0, 6.0, 490.0, 492.0, 494.0}) {
            see(DeviceWork::anchor, us - 1, us);
            anchors.push_back(start_ns + static_cast<std::int64_t>(us * 1e3));
        }
    }
    void see(DeviceWork work, double from_us, double to_us, std::int64_t bytes = 0) {
        records.records.push_back({work, clock(from_us), clock(to_us), bytes});
    }
    [[nodiscard]] KernelAccount account() const {
        return close_kernel_account(two_layers(), anchors, records);
    }
    DeviceRecords records;
    std::vector<std::int64_t> anchors;

private:
    [[nodiscard]] std::int64_t clock(double us) const {
        return 1'234'567'891'234 + std::llround(us * 1e3 * rate_);
    }
    double rate_;
};

TEST(KernelAccount, SplitsALayersTimeIntoBusyAndIdle) {
    Observer observer;
    observer.see(DeviceWork::kernel, 12, 50);
    observer.see(DeviceWork::kernel, 60, 109);
    const KernelAccount account = observer.account();
    EXPECT_FLOAT_EQ(account.layers[0].marked, 100);
    EXPECT_FLOAT_EQ(account.layers[0].busy, 87);
    EXPECT_FLOAT_EQ(account.layers[0].idle, 13);
    EXPECT_EQ(account.layers[0].kernels, 2);
    EXPECT_FLOAT_EQ(account.layers[0].beside, 0);
    EXPECT_EQ(account.kernels, 2);
    EXPECT_FLOAT_EQ(account.busy, 87);
    EXPECT_FLOAT_EQ(account.mismatch, 0);
}

TEST(KernelAccount, ALayerEndsWithItsLastKernelAndTheNextBeginsThere) {
    Observer observer;
    observer.see(DeviceWork::kernel, 12, 108);  // the mark behind it is 2 us late
    observer.see(DeviceWork::kernel, 113, 209.5);
    const KernelAccount account = observer.account();
    EXPECT_FLOAT_EQ(account.layers[0].seen, 98);  // from its own mark: nothing abuts
    EXPECT_FLOAT_EQ(account.layers[0].error(), 2);
    EXPECT_FLOAT_EQ(account.layers[3].seen, 101.5);
    EXPECT_FLOAT_EQ(account.layers[3].error(), -1.5);
}

TEST(KernelAccount, ALayerThatDoesNotAbutBeginsAtItsOwnMark) {
    Observer observer;
    observer.see(DeviceWork::kernel, 113, 209);
    observer.see(DeviceWork::kernel, 320, 399);
    EXPECT_FLOAT_EQ(observer.account().layers[4].seen, 99);
}

TEST(KernelAccount, WithoutItsOwnWorkALayerIsIdleAndNothingSaysHowLongItTook) {
    const KernelAccount account = Observer().account();
    EXPECT_FLOAT_EQ(account.layers[0].busy, 0);
    EXPECT_FLOAT_EQ(account.layers[0].idle, 100);
    EXPECT_TRUE(std::isnan(account.layers[0].seen));
    EXPECT_TRUE(std::isnan(account.layers[0].error()));
    EXPECT_TRUE(std::isnan(account.layers[1].marked)) << "a layer that was not marked";
}

TEST(KernelAccount, KernelsOfTwoStreamsThatOverlapCountOnce) {
    Observer observer;
    observer.see(DeviceWork::kernel, 20, 60);
    observer.see(DeviceWork::kernel, 40, 90);
    observer.see(DeviceWork::communication, 30, 200);
    const KernelAccount account = observer.account();
    EXPECT_FLOAT_EQ(account.layers[0].busy, 70);
    EXPECT_FLOAT_EQ(account.layers[0].beside, 80);
    EXPECT_FLOAT_EQ(account.layers[3].busy, 0) << "the all-reduce is no layer's work";
    EXPECT_FLOAT_EQ(account.layers[3].beside, 90);
    EXPECT_EQ(account.layers[0].kernels, 2);
    EXPECT_EQ(account.kernels, 3);
    EXPECT_FLOAT_EQ(account.busy, 180);
}

TEST(KernelAccount, AKernelAcrossABorderIsCutThereAndBelongsToWhereItsMiddleIs) {
    Observer observer;
    observer.see(DeviceWork::kernel, 70, 120);   // middle at 95
    observer.see(DeviceWork::kernel, 105, 205);  // middle at 155
    const KernelAccount account = observer.account();
    EXPECT_FLOAT_EQ(account.layers[0].busy, 40);
    EXPECT_EQ(account.layers[0].kernels, 1);
    EXPECT_FLOAT_EQ(account.layers[0].seen, 110);
    EXPECT_FLOAT_EQ(account.layers[3].busy, 95);
    EXPECT_EQ(account.layers[3].kernels, 1);
}

TEST(KernelAccount, AnotherClockIsAlignedAtTheAnchors) {
    for (const double rate : {1.0, 1.0002, 0.9998}) {
        Observer observer(rate);
        observer.see(DeviceWork::kernel, 15, 95);
        observer.see(DeviceWork::kernel, 310, 395);
        const KernelAccount account = observer.account();
        EXPECT_NEAR(account.layers[0].busy, 80, 0.01) << rate;
        EXPECT_NEAR(account.layers[4].busy, 85, 0.01) << rate;
        EXPECT_NEAR(account.layers[4].seen, 95, 0.01) << rate;
        EXPECT_LT(account.mismatch, 0.01) << rate;
    }
}

TEST(KernelAccount, OneLateMarkShowsAsMismatchAndSpoilsNothing) {
    Observer observer;
    observer.anchors[1] += 3'000;
    observer.see(DeviceWork::kernel, 15, 95);
    const KernelAccount account = observer.account();
    EXPECT_NEAR(account.layers[0].seen, 85, 0.01);
    EXPECT_NEAR(account.mismatch, 3, 0.01);
}

TEST(KernelAccount, LostRecordsMakeNoAccount) {
    Observer observer;
    observer.see(DeviceWork::kernel, 15, 95);
    observer.records.dropped = 4;
    const KernelAccount account = observer.account();
    EXPECT_TRUE(account.layers.empty());
    EXPECT_EQ(account.dropped, 4);
    EXPECT_TRUE(std::isnan(account.busy));
    EXPECT_FLOAT_EQ(account.iteration_time, 500);
}

TEST(KernelAccount, WithoutTheAnchorsThereIsNoAccount) {
    Observer observer;
    observer.see(DeviceWork::kernel, 15, 95);
    observer.records.records.erase(observer.records.records.begin());
    EXPECT_TRUE(observer.account().layers.empty());
    observer.records.records.clear();
    observer.anchors.clear();
    EXPECT_TRUE(observer.account().layers.empty());
}

TEST(KernelAccount, CopiesAreCountedAndThoseOnTheDeviceAreWork) {
    Observer observer;
    observer.see(DeviceWork::copy_h2d, 20, 60, 1'000);
    observer.see(DeviceWork::copy_h2d, 50, 80, 500);
    observer.see(DeviceWork::kernel, 40, 100);
    observer.see(DeviceWork::copy_d2d, 100, 105, 64);
    observer.see(DeviceWork::fill, 105, 107);
    observer.see(DeviceWork::copy_d2h, 420, 425, 24);
    const KernelAccount account = observer.account();
    EXPECT_EQ(account.copies[0].count, 2);
    EXPECT_EQ(account.copies[0].bytes, 1'500);
    EXPECT_DOUBLE_EQ(account.copies[0].time_us, 60);
    EXPECT_DOUBLE_EQ(account.copies[0].hidden_us, 40);
    EXPECT_EQ(account.copies[1].bytes, 24);
    EXPECT_DOUBLE_EQ(account.copies[1].hidden_us, 0);
    EXPECT_EQ(account.copies[2].count, 1);
    EXPECT_FLOAT_EQ(account.layers[0].busy, 67);
    EXPECT_FLOAT_EQ(account.layers[0].beside, 60);
    EXPECT_EQ(account.layers[0].kernels, 1);
    EXPECT_FLOAT_EQ(account.layers[0].seen, 97);
}

TEST(KernelAccount, OtherIterationsKernelsAreLeftOut) {
    Observer observer;
    observer.see(DeviceWork::kernel, -90, -20);
    observer.see(DeviceWork::kernel, 520, 600);
    observer.see(DeviceWork::copy_h2d, 510, 530, 100);
    const KernelAccount account = observer.account();
    EXPECT_EQ(account.kernels, 0);
    EXPECT_EQ(account.copies[0].count, 0);
    EXPECT_FLOAT_EQ(account.busy, 0);
}

}  // namespace
}  // namespace layerledger
