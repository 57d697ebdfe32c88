#include "gpu_sharing.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {

int count_sharers(const Communicator& world, const ChosenGpu& gpu, bool may_share) {
    const std::vector<std::string> hosts = world.gather(gpu.host);
    const std::vector<std::string> names = world.gather(gpu.name);
    const std::vector<std::string> uuids = world.gather(gpu.uuid);
    std::string counts;  // of each rank, a line each
    world.agree_on_root([&] {
        std::map<std::string, std::size_t> first_on;  // rank by UUID
        for (std::size_t rank = 0; rank < uuids.size(); ++rank) {
            const std::size_t first = first_on.emplace(uuids[rank], rank).first->second;
            if (first != rank && !may_share) {
                std::set<std::string> on_node;
                for (std::size_t other = 0; other < uuids.size(); ++other) {
                    if (hosts[other] == hosts[rank]) {
                        on_node.insert(uuids[other]);
                    }
                }
                const auto ranks = std::count(hosts.begin(), hosts.end(), hosts[rank]);
                throw Error(
                    ExitCode::unavailable,
                    text("ranks ", first, " and ", rank, " would share ", names[rank], " ",
                         uuids[rank], " (", hosts[rank], " has ", ranks, " ranks and ",
                         on_node.size(), on_node.size() == 1 ? " GPU" : " GPUs",
                         " that they may use; each rank needs one of its own) start fewer ranks "
                         "on a node, show them more GPUs in CUDA_VISIBLE_DEVICES, or set "
                         "device.allow_shared_gpu for a test"));
            }
        }
        for (const std::string& uuid : uuids) {
            counts += text(std::count(uuids.begin(), uuids.end(), uuid), '\n');
        }
    });
    counts = world.broadcast(std::move(counts));
    std::size_t begin = 0;
    for (int rank = 0; rank < world.rank(); ++rank) {
        begin = counts.find('\n', begin) + 1;
    }
    return std::stoi(counts.substr(begin));
}

}  // namespace layerledger::cuda
