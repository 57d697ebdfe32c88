// Which way gradients are summed between GPUs.
#include "backend.hpp"
#include "equal_libraries.hpp"
#include "nccl_collective.hpp"
#include "staged_collective.hpp"

namespace layerledger::cuda {
namespace {

/// One rank alone: every sum is there at once.
class NoCollective final : public Collective {
public:
    [[nodiscard]] const char* name() const noexcept override { return "none"; }
    void start(BucketId, DeviceSpan, BucketSpan& span) override {
        span.start = span.transfer = span.end = span.ready;
    }
    void join() override {}
};

/// The driver is each node's own, and need not be the same.
std::vector<std::pair<std::string, std::string>> libraries() {
    auto all = library_versions();
    std::erase_if(all, [](const auto& one) { return one.first == "CUDA driver"; });
    return all;
}

}  // namespace

std::unique_ptr<Collective> make_collective(Backend& backend, const RankMap& rank,
                                            const Communicator& world,
                                            const CollectiveOptions& options) {
    if (world.size() == 1) {
        return std::make_unique<NoCollective>();
    }
    require_equal_libraries(world, rank.host, libraries());
    Gpu& gpu = dynamic_cast<CudaBackend&>(backend).gpu();
    if (options.kind == CollectiveKind::mpi) {
        return make_staged_collective(gpu, world, options);
    }
    return make_nccl_collective(gpu, rank, world, options);
}

}  // namespace layerledger::cuda
