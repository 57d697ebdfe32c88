#include "process_memory.hpp"

#include <fstream>
#include <limits>
#include <string>

namespace layerledger {

void reset_peak_memory() noexcept {
    try {
        std::ofstream("/proc/self/clear_refs") << "5";  // proc(5): resets the "high water mark"
    } catch (...) {
        // The peak of the process's whole life is still a peak.
    }
}

double peak_memory_bytes() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        constexpr double bytes_per_kibibyte = 1024;
        if (line.starts_with("VmHWM:")) {
            return std::stod(line.substr(6)) * bytes_per_kibibyte;
        }
    }
    return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace layerledger
