// The backends that this machine can run. Every conformance test runs on each of them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "layerledger/device/backend.hpp"

namespace layerledger::conformance {

/// Names of the backends present: "cpu", and "cuda" where there is a GPU.
[[nodiscard]] std::vector<std::string> backends();

[[nodiscard]] std::unique_ptr<Backend> make_backend(const std::string& name);

/// A test that runs once on every backend.
class Conformance : public testing::TestWithParam<std::string> {
protected:
    const std::unique_ptr<Backend> backend_ = make_backend(GetParam());
};

[[nodiscard]] inline auto on_every_backend() {
    return testing::ValuesIn(backends());
}
[[nodiscard]] inline std::string backend_name(const testing::TestParamInfo<std::string>& info) {
    return info.param;
}

}  // namespace layerledger::conformance
