#include "layerledger/comm/rank_map.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>

#include "layerledger/base/text.hpp"
#include "mpi_check.hpp"

namespace layerledger {
namespace {

std::string affinity_mask() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::string mask(CPU_SETSIZE, '0');
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        for (std::size_t cpu = 0; cpu < mask.size(); ++cpu) {
            mask[cpu] = CPU_ISSET(cpu, &set) ? '1' : '0';
        }
    }
    return mask;
}

/// What one control group (version 2) still allows; no limit where it names none.
std::size_t group_allowance_bytes(const std::filesystem::path& group) {
    std::size_t limit = 0;
    std::size_t used = 0;
    std::ifstream max_file(group / "memory.max");
    std::ifstream current_file(group / "memory.current");
    if (!(max_file >> limit)) {  // no such file, or the word "max"
        return std::numeric_limits<std::size_t>::max();
    }
    current_file >> used;  // the root of a hierarchy has none
    return limit - std::min(limit, used);
}

/// The least that any control group around this process allows, from its own up to the root.
std::size_t allowance_bytes(const std::filesystem::path& root) {
    std::size_t allowance = std::numeric_limits<std::size_t>::max();
    std::ifstream membership("/proc/self/cgroup");
    for (std::string line; std::getline(membership, line);) {
        if (line.rfind("0::/", 0) != 0) {
            continue;  // a hierarchy of version 1
        }
        for (std::filesystem::path group = line.substr(4);; group = group.parent_path()) {
            allowance = std::min(allowance, group_allowance_bytes(root / group));
            if (group.empty()) {
                break;
            }
        }
    }
    return allowance;
}

/// The kernel's estimate of memory that programs can take without swapping, within the limits of
/// the control groups.
std::size_t available_bytes() {
    std::size_t available = allowance_bytes("/sys/fs/cgroup");
    std::ifstream meminfo("/proc/meminfo");
    for (std::string key, unit; meminfo >> key;) {
        std::size_t kibibytes = 0;
        meminfo >> kibibytes;
        std::getline(meminfo, unit);
        if (key == "MemAvailable:") {
            available = std::min(available, kibibytes * 1024);
        }
    }
    return available;
}

/// Cores of this rank: each core of its mask is shared evenly among the ranks that may use it.
int fair_cores(const std::vector<std::string>& masks, std::size_t self) {
    double share = 0;
    for (std::size_t cpu = 0; cpu < masks[self].size(); ++cpu) {
        if (masks[self][cpu] == '1') {
            const auto users = std::count_if(masks.begin(), masks.end(),
                                             [cpu](const std::string& m) { return m[cpu] == '1'; });
            share += 1.0 / static_cast<double>(users);
        }
    }
    return std::max(1, static_cast<int>(share + 1e-6));
}

}  // namespace

std::string node_name() {
    if (const char* node = std::getenv("SLURMD_NODENAME"); node != nullptr && *node != '\0') {
        return node;
    }
    std::array<char, 256> name{};
    gethostname(name.data(), name.size() - 1);
    return name.data();
}

std::vector<int> speakers_of(const std::vector<std::string>& nodes) {
    constexpr std::size_t most = 4;
    std::vector<int> first_of_node;
    std::set<std::string> seen;
    for (std::size_t rank = 0; rank < nodes.size(); ++rank) {
        if (seen.insert(nodes[rank]).second) {
            first_of_node.push_back(static_cast<int>(rank));
        }
    }
    std::set<int> speakers;
    const std::size_t spoken_for = std::min(most, first_of_node.size());
    for (std::size_t i = 0; i < spoken_for; ++i) {
        speakers.insert(first_of_node[i * first_of_node.size() / spoken_for]);
    }
    for (std::size_t rank = 0; speakers.size() < std::min(most, nodes.size()); ++rank) {
        speakers.insert(static_cast<int>(rank));
    }
    return {speakers.begin(), speakers.end()};
}

RankMap map_rank(const Communicator& world) {
    const Communicator node = world.node();
    RankMap map;
    map.host = node_name();
    map.local_rank = node.rank();
    map.local_size = node.size();
    map.memory_bytes = available_bytes() / static_cast<std::size_t>(node.size());

    std::vector<std::string> masks = node.gather(affinity_mask());
    std::string joined;
    for (const std::string& mask : masks) {
        joined += mask;
    }
    joined = node.broadcast(joined);
    masks.clear();
    for (std::size_t begin = 0; begin < joined.size(); begin += CPU_SETSIZE) {
        masks.push_back(joined.substr(begin, CPU_SETSIZE));
    }
    map.cores = fair_cores(masks, static_cast<std::size_t>(node.rank()));
    return map;
}

}  // namespace layerledger
