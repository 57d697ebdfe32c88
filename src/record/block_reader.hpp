// Reads the account of a run from its first iteration to its last, in bounded memory.
#pragma once

#include <cstdint>
#include <vector>

#include "layerledger/hdf5/file.hpp"

namespace layerledger {

/// Consecutive iterations of all ranks. Times are microseconds, NaN where absent; of two indices
/// the row comes first: iteration_time[row * ranks + rank].
struct IterationBlock {
    std::uint64_t rows = 0;
    std::uint64_t ranks = 0;
    std::uint64_t layers = 0;

    std::vector<std::int64_t> iteration;  ///< by row, as the four below
    std::vector<std::int32_t> epoch;
    std::vector<std::uint8_t> warmup;
    std::vector<float> loss, top1, topk;

    std::vector<float> iteration_time, unaccounted;  ///< [row, rank]
    std::vector<float> activity_time;                ///< [row, rank, activity]
    std::vector<float> layer_time;                   ///< [row, rank, layer, phase]

    /// Sum over the layers and phases that were timed; NaN where none was.
    [[nodiscard]] float layers_time(std::uint64_t row, std::uint64_t rank) const;
};

class BlockReader {
public:
    /// Reads the first `rows` iterations, all of them committed, of a file that must outlive this.
    BlockReader(const hdf5::File& file, std::uint64_t rows);

    /// The next iterations; false where there are none left.
    [[nodiscard]] bool next(IterationBlock& block);

private:
    template <class T>
    void read(const char* dataset, const hdf5::Extent& below, std::vector<T>& values) const;

    const hdf5::File& file_;
    std::uint64_t rows_ = 0;
    std::uint64_t ranks_ = 0;
    std::uint64_t layers_ = 0;
    std::uint64_t rows_at_once_ = 1;
    std::uint64_t first_ = 0;  // the newest block
    std::uint64_t count_ = 0;
};

}  // namespace layerledger
