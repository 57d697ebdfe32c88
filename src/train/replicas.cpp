#include "layerledger/train/replicas.hpp"

#include <algorithm>
#include <map>

#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

std::string describe_difference(const std::vector<std::uint64_t>& digests, std::int64_t iteration) {
    std::map<std::uint64_t, int> votes;
    for (const std::uint64_t digest : digests) {
        ++votes[digest];
    }
    const auto majority =
        std::max_element(votes.begin(), votes.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    std::string odd;
    for (std::size_t rank = 0; rank < digests.size(); ++rank) {
        if (digests[rank] != majority->first) {
            odd += text(odd.empty() ? "" : ", ", rank);
        }
    }
    return text(
        "the ranks' parameters differ after iteration ", iteration, " (rank ", odd, " of ",
        digests.size(),
        " disagrees with the majority: faulty memory, or processors that round differently) "
        "run on equal nodes, or leave that one out");
}

}  // namespace

void require_equal_replicas(const Communicator& world, std::uint64_t digest,
                            std::int64_t iteration) {
    if (world.is_same_on_all_ranks(digest)) {
        return;
    }
    const std::vector<std::uint64_t> digests = world.gather(digest);
    world.agree_on_root(
        [&] { throw Error(ExitCode::internal, describe_difference(digests, iteration)); });
}

}  // namespace layerledger
