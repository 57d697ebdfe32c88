#include <gmock/gmock.h>

#include "precision_support.hpp"

namespace layerledger::cuda {
namespace {

using testing::HasSubstr;

TEST(GpuPrecision, AmpereAndLaterHaveEveryOne) {
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
        EXPECT_NO_THROW(require_precision(precision, "NVIDIA A100", 8, 0));
        EXPECT_NO_THROW(require_precision(precision, "NVIDIA H100", 9, 0));
    }
}

TEST(GpuPrecision, WhatAnOlderOneLacksIsRefusedByName) {
    EXPECT_NO_THROW(require_precision(Precision::fp32, "Tesla T4", 7, 5));
    for (const auto& [precision, name] :
         {std::pair(Precision::tf32, "tf32"), std::pair(Precision::bf16, "bf16")}) {
        try {
            require_precision(precision, "Tesla T4", 7, 5);
            FAIL() << name;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ExitCode::unavailable);
            EXPECT_THAT(error.what(), HasSubstr(name));
            EXPECT_THAT(error.what(), HasSubstr("Tesla T4"));
            EXPECT_THAT(error.what(), HasSubstr("this is 7.5"));
            EXPECT_THAT(error.what(), HasSubstr("train.precision=fp32"));
        }
    }
}

}  // namespace
}  // namespace layerledger::cuda
