#include "clock_readings.hpp"

#include <bit>

namespace layerledger {

ClockReadings::ClockReadings(const Communicator& world, std::int64_t iterations_done)
    : world_(world) {
    read(iterations_done);
}

void ClockReadings::read(std::int64_t iterations_done) {
    const ClockReading reading = world_.read_clock();
    map_.add(reading);
    const auto gathered = [this](auto value) {
        return world_.gather(std::bit_cast<std::uint64_t>(value));
    };
    const auto times = gathered(reading.time_ns);
    const auto offsets = gathered(reading.offset_ns);
    const auto bounds = gathered(reading.bound_ns);
    const auto drifts = gathered(map_.drift());
    newest_.clear();
    for (std::size_t rank = 0; rank < times.size(); ++rank) {
        newest_.push_back(
            {iterations_done, static_cast<std::int64_t>(rank),
             static_cast<std::int64_t>(times[rank]), static_cast<std::int64_t>(offsets[rank]),
             static_cast<std::int64_t>(bounds[rank]), std::bit_cast<double>(drifts[rank])});
    }
    if (writer_ != nullptr) {
        writer_->add_clocks(newest_);
    }
}

void ClockReadings::record_in(RunWriter& writer) {
    writer_ = &writer;
    writer.add_clocks(newest_);
}

}  // namespace layerledger
