#include "cublas_library.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <optional>
#include <sstream>

#include "layerledger/backend/cuda.hpp"
#include "layerledger/base/error.hpp"

namespace layerledger::cuda {
namespace {

bool is_loaded() {
    std::ostringstream maps;
    maps << std::ifstream("/proc/self/maps").rdbuf();
    return maps.str().find("libcublas") != std::string::npos;
}

// What runs on CPUs pays nothing for it.
TEST(CublasLibrary, IsLoadedWhenItIsUsedFirst) {
    static_cast<void>(why_unavailable());
    ASSERT_FALSE(is_loaded());
    std::optional<CublasFunctions> cublas;
    try {
        cublas = cublas_library();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::unavailable);
        GTEST_SKIP() << error.what();
    }
    EXPECT_TRUE(is_loaded());
    EXPECT_EQ(version_of(*cublas).substr(0, 3), std::to_string(CUBLAS_VER_MAJOR) + ".");
    EXPECT_STREQ(cublas->status_text(CUBLAS_STATUS_SUCCESS), "success");
}

}  // namespace
}  // namespace layerledger::cuda
