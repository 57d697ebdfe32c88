// Which way gradients are summed between GPUs.
#include "backend.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
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

/// Ranks whose libraries differ may choose different algorithms, and NCCL may never connect them.
void require_equal_libraries(const Communicator& world, const RankMap& rank) {
    std::string mine;
    for (const auto& [name, version] : library_versions()) {
        if (name != "CUDA driver") {
            mine += text(mine.empty() ? "" : ", ", name, " ", version);
        }
    }
    const std::vector<std::string> all = world.gather(mine);
    const std::vector<std::string> hosts = world.gather(rank.host);
    world.agree_on_root([&] {
        for (std::size_t other = 1; other < all.size(); ++other) {
            LL_VALIDATE(all[other] == all[0], ExitCode::unavailable,
                        text("the ranks' libraries differ (rank 0 on ", hosts[0], " has ", all[0],
                             "; rank ", other, " on ", hosts[other], " has ", all[other],
                             ") load the same versions on every node"));
        }
    });
}

}  // namespace

std::unique_ptr<Collective> make_collective(Backend& backend, const RankMap& rank,
                                            const Communicator& world,
                                            const CollectiveOptions& options) {
    if (world.size() == 1) {
        return std::make_unique<NoCollective>();
    }
    require_equal_libraries(world, rank);
    Gpu& gpu = dynamic_cast<CudaBackend&>(backend).gpu();
    if (options.kind == CollectiveKind::mpi) {
        return make_staged_collective(gpu, world, options);
    }
    return make_nccl_collective(gpu, rank, world, options);
}

}  // namespace layerledger::cuda
