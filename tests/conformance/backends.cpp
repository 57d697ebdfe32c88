#include "conformance/backends.hpp"

#include "layerledger/backend/cpu.hpp"
#include "layerledger/backend/cuda.hpp"
#include "layerledger/base/contract.hpp"

namespace layerledger::conformance {

std::vector<std::string> backends() {
    return {"cpu", "cuda"};
}

std::string why_unavailable(const std::string& name) {
    return name == "cuda" ? cuda::why_unavailable() : "";
}

std::unique_ptr<Backend> make_backend(const std::string& name) {
    LL_VALIDATE(name == "cpu" || name == "cuda", ExitCode::internal, "no backend " + name);
    if (name == "cuda") {
        return cuda::make_backend({}, RankMap{});
    }
    return cpu::make_backend({.threads = 2}, RankMap{});
}

void Conformance::SetUp() {
    if (const std::string why = why_unavailable(GetParam()); !why.empty()) {
        GTEST_SKIP() << why;
    }
    backend_ = make_backend(GetParam());
}

}  // namespace layerledger::conformance
