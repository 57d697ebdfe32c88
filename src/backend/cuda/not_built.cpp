// What stands in for the CUDA backend in a build without CUDA.
#include "layerledger/backend/cuda.hpp"
#include "layerledger/base/contract.hpp"

namespace layerledger::cuda {

std::string why_unavailable() {
    return "this program was built without CUDA";
}

std::vector<std::pair<std::string, std::string>> library_versions() {
    return {};
}

int count_sharers(const Communicator&, const RankMap&, bool) {
    throw Error(ExitCode::unavailable, why_unavailable());
}

std::unique_ptr<Backend> make_backend(const BackendOptions&, const RankMap&) {
    throw Error(ExitCode::unavailable, why_unavailable());
}

std::unique_ptr<Collective> make_collective(Backend&, const RankMap&, const Communicator&,
                                            const CollectiveOptions&) {
    throw Error(ExitCode::unavailable, why_unavailable());
}

}  // namespace layerledger::cuda
