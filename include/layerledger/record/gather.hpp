// Brings the rows of all ranks to rank 0, in blocks of bounded size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/record/iteration_record.hpp"

namespace layerledger {

/// Most bytes of rows that rank 0 holds for one block.
inline constexpr std::size_t gather_limit_bytes = std::size_t{64} << 20;

/// How many iterations a block may have so that all ranks' rows stay within the limit (at least 1).
[[nodiscard]] std::size_t largest_block(const RecordLayout& layout, int ranks);

/// What rank 0 makes of the bytes that came from all ranks, rank after rank.
[[nodiscard]] RecordBlock block_of(std::vector<IterationFacts> facts,
                                   std::span<const std::byte> rows,
                                   std::span<const std::byte> starts_ns);

class Gather {
public:
    /// Collective: throws AgreedError{internal} on all ranks unless `digest` (of the layer table,
    /// the buckets and the level) is the same everywhere. `clock` is of this rank and must outlive
    /// this; a reading of it before `collect` counts for all that is collected.
    Gather(const Communicator& world, const RecordLayout& layout, std::uint64_t digest,
           const ClockMap& clock);

    /// Keeps one iteration of this rank. No communication.
    void add(const IterationFacts& facts, const Account& account, const IterationMetrics& metrics);

    [[nodiscard]] std::size_t pending() const noexcept { return facts_.size(); }

    /// Collective: sends everything kept. On rank 0 the block of all ranks, elsewhere empty. Throws
    /// AgreedError{internal} on all ranks unless all keep the same iterations.
    [[nodiscard]] RecordBlock collect();

private:
    const Communicator& world_;
    RecordLayout layout_;
    const ClockMap& clock_;
    std::vector<IterationFacts> facts_;
    std::vector<std::int64_t> starts_ns_;
    std::vector<float> rows_;
};

}  // namespace layerledger
