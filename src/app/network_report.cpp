#include "network_report.hpp"

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

constexpr std::size_t most_said = 8;

/// "10.0.0.7 (eth0)" for each way, a line each.
std::string ways_text(const std::set<Connection>& connections,
                      const std::vector<Interface>& interfaces) {
    std::string lines;
    for (const Interface& way : ways_to_other_nodes(connections, interfaces)) {
        lines += text(with_interface(way.address, interfaces), '\n');
    }
    return lines;
}

void add_lines(std::set<std::string>& ways, const std::string& lines) {
    std::istringstream words(lines);
    for (std::string way; std::getline(words, way);) {
        ways.insert(way);
    }
}

std::string joined(const std::set<std::string>& ways) {
    std::string all;
    for (const std::string& way : ways) {
        all += text(all.empty() ? "" : " and ", way);
    }
    return all.empty() ? "no TCP (another kind of network)" : all;
}

}  // namespace

void connect_as_for_gradients(const Communicator& world) {
    std::vector<float> values(std::size_t{1} << 18U);
    world.all_reduce_sum(values);
}

NetworkUse network_use(std::set<Connection> before, std::set<Connection> now,
                       std::string_view collective) {
    if (collective != "nccl") {
        return {std::move(now), {}, false};
    }
    std::erase_if(now, [&](const Connection& one) { return before.contains(one); });
    return {std::move(before), std::move(now), true};
}

std::string describe_networks(const NetworkUse& use, const std::string& node,
                              const Communicator& world) {
    const std::vector<Interface> interfaces = node_interfaces();
    const std::vector<std::string> nodes = world.gather(node);
    const std::vector<std::string> of_mpi = world.gather(ways_text(use.mpi, interfaces));
    const std::vector<std::string> of_nccl = world.gather(ways_text(use.nccl, interfaces));
    struct Ways {
        std::set<std::string> mpi;
        std::set<std::string> nccl;
    };
    std::map<std::string, Ways> by_node;
    for (std::size_t rank = 0; rank < nodes.size(); ++rank) {
        Ways& ways = by_node[nodes[rank]];
        add_lines(ways.mpi, of_mpi[rank]);
        add_lines(ways.nccl, of_nccl[rank]);
    }
    std::string lines;
    for (const auto& [name, ways] : by_node) {
        lines += text(name, ": MPI over ", joined(ways.mpi),
                      use.has_nccl ? text(", NCCL over ", joined(ways.nccl)) : "", '\n');
    }
    return by_node.size() > 1 ? lines : "";
}

void announce_networks(const std::string& lines) {
    std::istringstream words(lines);
    std::size_t count = 0;
    for (std::string line; std::getline(words, line); ++count) {
        if (count < most_said) {
            log::info(line);
        }
    }
    if (count > most_said) {
        log::info(text(count - most_said, " more nodes (provenance/networks in the run file)"));
    }
}

}  // namespace layerledger
