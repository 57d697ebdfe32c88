// The backends that this machine can run. Every conformance test runs on each of them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "layerledger/device/backend.hpp"

namespace layerledger::conformance {

/// Names of all backends.
[[nodiscard]] std::vector<std::string> backends();
/// Why this machine or this build lacks one; empty where it is there.
[[nodiscard]] std::string why_unavailable(const std::string& name);

[[nodiscard]] std::unique_ptr<Backend> make_backend(const std::string& name);

/// A test that runs once on every backend, and is skipped where that is not there.
class Conformance : public testing::TestWithParam<std::string> {
protected:
    void SetUp() override;
    std::unique_ptr<Backend> backend_;
};

[[nodiscard]] inline auto on_every_backend() {
    return testing::ValuesIn(backends());
}
[[nodiscard]] inline std::string backend_name(const testing::TestParamInfo<std::string>& info) {
    return info.param;
}

}  // namespace layerledger::conformance
