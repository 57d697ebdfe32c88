#include "peak_memory.hpp"

#include <array>
#include <string>
#include <utility>

namespace layerledger {
namespace {

using Member = double PeakMemory::*;
constexpr std::array<std::pair<const char*, Member>, 3> datasets{{
    {"peak_memory", &PeakMemory::process_bytes},
    {"device_memory", &PeakMemory::device_bytes},
    {"device_library_memory", &PeakMemory::device_library_bytes},
}};

}  // namespace

void write_peak_memory(hdf5::File& file, const std::vector<PeakMemory>& ranks) {
    for (const auto& [dataset, member] : datasets) {
        if (ranks.empty() || !file.contains(dataset)) {
            continue;
        }
        std::vector<double> bytes;
        for (const PeakMemory& rank : ranks) {
            bytes.push_back(rank.*member);
        }
        file.write<double>(dataset, bytes);
    }
}

std::vector<PeakMemory> read_peak_memory(const hdf5::File& file) {
    std::vector<PeakMemory> ranks;
    for (const auto& [dataset, member] : datasets) {
        if (!file.contains(dataset)) {
            continue;
        }
        const std::vector<double> bytes = file.read<double>(dataset);
        ranks.resize(bytes.size());
        for (std::size_t rank = 0; rank < bytes.size(); ++rank) {
            ranks[rank].*member = bytes[rank];
        }
    }
    return ranks;
}

}  // namespace layerledger
