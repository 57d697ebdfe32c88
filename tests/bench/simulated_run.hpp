// Runs that no machine here could do: what many ranks would record of a network of ResNet-50's
// shape.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "layerledger/record/iteration_record.hpp"
#include "layerledger/record/run_description.hpp"

namespace layerledger::bench {

inline constexpr std::size_t simulated_layers = 54;
inline constexpr std::size_t simulated_buckets = 5;
inline constexpr std::int64_t simulated_iteration_ns = 200'000'000;

/// Eight ranks a node.
[[nodiscard]] RunDescription simulated_run(std::string_view title, std::size_t ranks);

/// Times that scatter by some percent around their layer's own, in whole nanoseconds.
class SimulatedRecords {
public:
    explicit SimulatedRecords(const RunDescription& run);

    /// Iterations `first` to `first + count` of all ranks, as the gather delivers them.
    [[nodiscard]] RecordBlock block(std::int64_t first, std::size_t count);

private:
    [[nodiscard]] double scatter();
    void fill(std::span<float> row);

    RecordLayout layout_;
    std::size_t ranks_;
    std::minstd_rand random_{1};
    std::vector<double> typical_us_;
};

}  // namespace layerledger::bench
