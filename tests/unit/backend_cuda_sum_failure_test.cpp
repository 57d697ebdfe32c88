#include <gmock/gmock.h>

#include "sum_failure.hpp"

namespace layerledger::cuda {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

std::string deadline_error(const SumFailure& failure) {
    try {
        failure.raise();
    } catch (const DeadlineError& error) {
        EXPECT_EQ(error.code(), ExitCode::internal);
        return error.what();
    } catch (const Error&) {
    }
    return "";
}

// It makes the program ask all ranks who is there, and name those that say nothing.
TEST(SumFailure, AWaitForRanksThatDoNotComeIsADeadlineError) {
    EXPECT_THAT(deadline_error(sum_is_late("rank 0 on n0", "the sum of bucket 3", 120s)),
                AllOf(HasSubstr("rank 0 on n0"), HasSubstr("bucket 3"), HasSubstr("2 min 00 s")));
    EXPECT_THAT(deadline_error(sum_is_broken("rank 0 on n0", "the sum of bucket 3",
                                             {"remote error: connection closed", true})),
                HasSubstr("connection closed"));
}

TEST(SumFailure, WhatIsWrongOnThisRankIsNone) {
    const SumFailure failure =
        sum_is_broken("rank 0 on n0", "the sum of bucket 3", {"unhandled cuda error", false});
    EXPECT_EQ(deadline_error(failure), "");
    EXPECT_THROW(failure.raise(), Error);
}

}  // namespace
}  // namespace layerledger::cuda
