// The part of the run file that grows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "layerledger/hdf5/file.hpp"
#include "layerledger/record/iteration_record.hpp"
#include "layerledger/record/run_description.hpp"
#include "schema.hpp"

namespace layerledger {

/// The arrays over iterations of one file.
class IterationArrays {
public:
    IterationArrays(const RunDescription& description, std::size_t block_iterations);

    /// Makes the scale `iteration`, which comes before all others.
    void create_scale(hdf5::File& file) const;
    /// Makes the rest, once all scales are there.
    void create(hdf5::File& file) const;

    /// What `iteration_start` counts from.
    struct Epoch {
        std::int64_t ns = 0;      ///< on rank 0's steady clock
        std::int64_t utc_ns = 0;  ///< on the calendar, since 1970
    };

    /// Writes a block to the rows from `first_row` on and makes them the last. May be repeated.
    void write(hdf5::File& file, const RecordBlock& block, std::uint64_t first_row,
               const Epoch& epoch) const;

    /// Most bytes by which writing these rows lets the file grow.
    [[nodiscard]] std::uint64_t growth_bytes(std::uint64_t first_row,
                                             std::uint64_t iterations) const;

private:
    void write_rows(hdf5::File& file, const schema::RecordVariable& variable,
                    const RecordBlock& block, std::uint64_t first_row) const;
    [[nodiscard]] hdf5::Extent chunk_of(const schema::Variable& variable) const;

    schema::DimExtents extents_;
    RecordLayout layout_;
    std::size_t block_iterations_;
};

}  // namespace layerledger
