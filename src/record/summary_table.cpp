#include "summary_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

constexpr int bar_width = 20;

}  // namespace

std::string shown(double value, int decimals, double scale) {
    return std::isnan(value) ? "-" : fixed(value * scale, decimals);
}

std::string milliseconds(double us) {
    return shown(us, 3, 1e-3);
}

std::string mebibytes(double bytes) {
    return shown(bytes, 1, 1.0 / (1024 * 1024));
}

std::string bar(double share) {
    if (std::isnan(share)) {
        return "";
    }
    const double cells = std::clamp(share, 0.0, 1.0) * bar_width;
    return std::string(static_cast<std::size_t>(std::lround(cells)), '#');
}

double sum_of_present(const std::array<double, 3>& values) {
    double sum = std::numeric_limits<double>::quiet_NaN();
    for (const double value : values) {
        if (!std::isnan(value)) {
            sum = std::isnan(sum) ? value : sum + value;
        }
    }
    return sum;
}

}  // namespace layerledger
