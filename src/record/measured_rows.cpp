#include "measured_rows.hpp"

namespace layerledger {

Rows measured_rows(const hdf5::File& file, std::uint64_t committed) {
    const hdf5::Slab all{{0}, {committed}};
    const auto warmup = file.read<std::uint8_t>("warmup", all);
    const auto profiled = file.read<std::uint8_t>("profiled", all);
    const auto is_measured = [&](std::size_t row) {
        return warmup[row] == 0 && profiled[row] != 0;
    };
    const auto is_warm = [&](std::size_t row) { return warmup[row] == 0; };

    std::vector<std::uint32_t> chosen;
    const auto choose = [&](const auto& is_chosen) {
        for (std::uint32_t row = 0; row < committed; ++row) {
            if (is_chosen(row)) {
                chosen.push_back(row);
            }
        }
    };
    choose(is_measured);
    if (chosen.empty()) {
        choose(is_warm);
    }
    Rows rows;
    if (!chosen.empty()) {
        rows.first = chosen.front();
        rows.count = chosen.back() + 1 - rows.first;
        for (const std::uint32_t row : chosen) {
            rows.chosen.push_back(row - chosen.front());
        }
    }
    return rows;
}

}  // namespace layerledger
