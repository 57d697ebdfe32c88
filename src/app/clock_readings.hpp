// The ranks' clocks against rank 0's, read now and then outside all windows.
#pragma once

#include <cstdint>

#include "layerledger/comm/clock_map.hpp"
#include "layerledger/comm/communicator.hpp"
#include "layerledger/record/run_writer.hpp"

namespace layerledger {

class ClockReadings {
public:
    /// Reads the clocks for the first time. Collective.
    ClockReadings(const Communicator& world, std::int64_t iterations_done);

    /// Reads them again. Collective.
    void read(std::int64_t iterations_done);

    /// Rank 0's: gets what was read so far, and later readings as they come.
    void record_in(RunWriter& writer);

    [[nodiscard]] const ClockMap& map() const noexcept { return map_; }

private:
    const Communicator& world_;
    ClockMap map_;
    RunWriter* writer_ = nullptr;
    std::vector<ClockRecord> newest_;  // of all ranks, on rank 0
};

}  // namespace layerledger
