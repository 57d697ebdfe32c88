#include "conformance/backends.hpp"

#include "layerledger/backend/cpu.hpp"
#include "layerledger/base/contract.hpp"

namespace layerledger::conformance {

std::vector<std::string> backends() {
    return {"cpu"};
}

std::unique_ptr<Backend> make_backend(const std::string& name) {
    LL_VALIDATE(name == "cpu", ExitCode::unavailable, "no backend " + name);
    return cpu::make_backend({.threads = 2}, RankMap{});
}

}  // namespace layerledger::conformance
