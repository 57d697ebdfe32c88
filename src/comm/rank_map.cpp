#include "layerledger/comm/rank_map.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>

#include "layerledger/base/text.hpp"
#include "mpi_check.hpp"

namespace layerledger {
namespace {

std::string host_name() {
    // Several Slurm nodes may share one kernel and one host name; Slurm's own name tells them
    // apart.
    if (const char* node = std::getenv("SLURMD_NODENAME"); node != nullptr && *node != '\0') {
        return node;
    }
    std::array<char, 256> name{};
    gethostname(name.data(), name.size() - 1);
    return name.data();
}

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

/// The kernel's estimate of memory that programs can take without swapping.
std::size_t available_bytes() {
    std::size_t available = std::numeric_limits<std::size_t>::max();
    std::ifstream meminfo("/proc/meminfo");
    for (std::string key, unit; meminfo >> key;) {
        std::size_t kibibytes = 0;
        meminfo >> kibibytes;
        std::getline(meminfo, unit);
        if (key == "MemAvailable:") {
            available = kibibytes * 1024;
        }
    }
    std::size_t limit = 0;
    if (std::ifstream cgroup("/sys/fs/cgroup/memory.max"); cgroup >> limit) {
        available = std::min(available, limit);
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

RankMap map_rank(const Communicator& world) {
    const Communicator node = world.node();
    RankMap map;
    map.host = host_name();
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
