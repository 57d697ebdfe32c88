#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "cupti_session.hpp"
#include "fake_cupti.hpp"
#include "layerledger/base/error.hpp"

namespace layerledger::cuda {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

CUpti_ActivityKernel10 kernel(const char* name, std::uint64_t start, std::uint64_t end) {
    CUpti_ActivityKernel10 record{};
    record.kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
    record.name = name;
    record.start = start;
    record.end = end;
    return record;
}

CUpti_ActivityMemcpy6 copy(CUpti_ActivityMemcpyKind kind, std::uint64_t bytes) {
    CUpti_ActivityMemcpy6 record{};
    record.kind = CUPTI_ACTIVITY_KIND_MEMCPY;
    record.copyKind = static_cast<std::uint8_t>(kind);
    record.bytes = bytes;
    record.start = 100;
    record.end = 200;
    return record;
}

class CuptiSessionTest : public ::testing::Test {
protected:
    void SetUp() override {
        const char* path = std::getenv("FAKE_CUPTI");
        ASSERT_NE(path, nullptr) << "the test's environment names its library";
        library_ = path;
        void* handle = dlopen(path, RTLD_NOW);
        ASSERT_NE(handle, nullptr);
        const auto get = reinterpret_cast<testing::FakeCupti* (*)()>(dlsym(handle, "fake_cupti"));
        ASSERT_NE(get, nullptr);
        fake_ = get();
        *fake_ = {};
    }
    static std::string refusal_of(const std::function<void()>& work) {
        try {
            work();
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ExitCode::unavailable);
            return error.what();
        }
        return "";
    }

    std::string library_;
    testing::FakeCupti* fake_ = nullptr;
};

TEST_F(CuptiSessionTest, TellsKernelsFromEachOtherByTheirNames) {
    fake_->kernels = {kernel("sm90_xmma_fprop_implicit_gemm", 1'000, 3'000),
                      kernel("_Z30ncclDevKernel_AllReduce_Sum_f32", 1'500, 4'000),
                      kernel("_ZN11layerledger13ledger_anchorEv", 5'000, 5'100),
                      kernel("_ZN11layerledger12ledger_stampEPy", 5'200, 5'300),
                      kernel("_ZN11layerledger17ledger_stamps_outEPKyPyi", 5'400, 5'500),
                      kernel(nullptr, 6'000, 7'000)};
    CuptiSession session({library_});
    session.start();
    const DeviceRecords seen = session.stop();
    ASSERT_EQ(seen.records.size(), 4U);
    EXPECT_EQ(seen.records[0].work, DeviceWork::kernel);
    EXPECT_EQ(seen.records[0].start_ns, 1'000);
    EXPECT_EQ(seen.records[0].end_ns, 3'000);
    EXPECT_EQ(seen.records[1].work, DeviceWork::communication);
    EXPECT_EQ(seen.records[2].work, DeviceWork::anchor);
    EXPECT_EQ(seen.records[3].work, DeviceWork::kernel);
    EXPECT_EQ(seen.dropped, 0);
}

TEST_F(CuptiSessionTest, CopiesGoByTheirDirectionAndOtherKindsAreNoneOfOurs) {
    fake_->copies = {
        copy(CUPTI_ACTIVITY_MEMCPY_KIND_HTOD, 64), copy(CUPTI_ACTIVITY_MEMCPY_KIND_DTOH, 24),
        copy(CUPTI_ACTIVITY_MEMCPY_KIND_DTOD, 8), copy(CUPTI_ACTIVITY_MEMCPY_KIND_HTOH, 16)};
    fake_->fills.resize(1);
    fake_->fills[0].kind = CUPTI_ACTIVITY_KIND_MEMSET;
    fake_->fills[0].start = 10;
    fake_->fills[0].end = 20;
    CuptiSession session({library_});
    session.start();
    const DeviceRecords seen = session.stop();
    std::vector<DeviceWork> works;
    for (const DeviceRecord& record : seen.records) {
        works.push_back(record.work);
    }
    EXPECT_THAT(works, ElementsAre(DeviceWork::copy_h2d, DeviceWork::copy_d2h, DeviceWork::copy_d2d,
                                   DeviceWork::fill));
    EXPECT_EQ(seen.records[0].bytes, 64);
}

TEST_F(CuptiSessionTest, RecordsOnlyBetweenStartAndStopAndEachTimeAnew) {
    fake_->kernels = {kernel("gemm", 10, 20)};
    CuptiSession session({library_});
    EXPECT_EQ(fake_->enabled, 0U);
    for (int i = 0; i < 2; ++i) {
        session.start();
        EXPECT_EQ(fake_->enabled, 3U);
        EXPECT_EQ(session.stop().records.size(), 1U);
        EXPECT_EQ(fake_->enabled, 0U);
    }
}

TEST_F(CuptiSessionTest, WhatIsLostIsCounted) {
    fake_->dropped = 5;
    fake_->kernels = {kernel("untimed", 0, 0), kernel("backwards", 20, 10), kernel("gemm", 1, 2)};
    CuptiSession session({library_});
    session.start();
    const DeviceRecords seen = session.stop();
    EXPECT_EQ(seen.records.size(), 1U);
    EXPECT_EQ(seen.dropped, 7);
}

TEST_F(CuptiSessionTest, WithoutPermissionSaysSo) {
    CuptiSession session({library_});
    fake_->refusal = CUPTI_ERROR_INSUFFICIENT_PRIVILEGES;
    EXPECT_THAT(
        refusal_of([&] { session.start(); }),
        AllOf(HasSubstr("profile.level=kernel cannot see kernels"), HasSubstr("THE_FAKE_SAYS_NO"),
              HasSubstr("administrators"), HasSubstr("use profile.level=op")));
    fake_->refusal = CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED;
    EXPECT_THAT(refusal_of([&] { session.start(); }), HasSubstr("another profiler"));
}

TEST_F(CuptiSessionTest, WithoutTheLibraryNamesTheFileAndWhereItComesFrom) {
    EXPECT_THAT(refusal_of([] {
                    CuptiSession({"/nowhere/libcupti.so.13", "/else/libcupti.so"});
                }),
                AllOf(HasSubstr("/nowhere/libcupti.so.13"), HasSubstr("nvidia-cuda-cupti"),
                      HasSubstr("LD_LIBRARY_PATH")));
}

TEST_F(CuptiSessionTest, AnotherMajorVersionIsRefused) {
    fake_->version = 120900;
    EXPECT_THAT(refusal_of([&] { CuptiSession({library_}); }), HasSubstr("CUPTI of CUDA 12"));
    fake_->version = CUPTI_API_VERSION + 100;
    EXPECT_EQ(refusal_of([&] { CuptiSession({library_}); }), "") << "a newer minor one";
}

TEST_F(CuptiSessionTest, ThereIsOneAtATime) {
    {
        CuptiSession session({library_});
        EXPECT_THAT(refusal_of([&] { CuptiSession({library_}); }), HasSubstr("watched already"));
    }
    EXPECT_EQ(refusal_of([&] { CuptiSession({library_}); }), "");
}

TEST(CuptiCandidates, LieWhereTheLinkerLooksAndNearCudasLibraries) {
    EXPECT_THAT(cupti_candidates("/opt/cuda/lib64/libcublas.so.13"),
                ElementsAre("libcupti.so.13", "/opt/cuda/lib64/libcupti.so.13",
                            "/opt/cuda/lib64/../extras/CUPTI/lib64/libcupti.so.13",
                            "/opt/cuda/lib64/../../cuda_cupti/lib/libcupti.so.13"));
    EXPECT_THAT(cupti_candidates(""), ElementsAre("libcupti.so.13"));
}

}  // namespace
}  // namespace layerledger::cuda
