#include <gtest/gtest.h>

#include "layerledger/base/contract.hpp"

namespace layerledger {
namespace {

TEST(Error, CarriesItsExitCode) {
    const Error error(ExitCode::bad_data, "a problem");
    EXPECT_EQ(error.code(), ExitCode::bad_data);
    EXPECT_STREQ(error.what(), "a problem");
}

TEST(Error, ALibraryCallNamesLibraryStatusCallAndPlace) {
    const Error error(ExitCode::internal, LibraryCall{"MPI", 15, "MPI_Send(...)"}, "truncated");
    const std::string message = error.what();
    EXPECT_NE(message.find("MPI error 15: truncated (MPI_Send(...) at "), std::string::npos);
    EXPECT_NE(message.find("base_error_test.cpp"), std::string::npos);
}

TEST(Contract, ValidateThrowsInEveryBuild) {
    const auto check = [](int value) {
        LL_VALIDATE(value > 0, ExitCode::configuration, "must be positive");
    };
    EXPECT_NO_THROW(check(1));
    EXPECT_THROW(check(0), Error);
}

}  // namespace
}  // namespace layerledger
