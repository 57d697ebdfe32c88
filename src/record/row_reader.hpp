// Reads arrays over iterations and ranks piece by piece, in bounded memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "layerledger/hdf5/file.hpp"

namespace layerledger {

/// Consecutive rows of a file, and which of them count.
struct Rows {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    std::vector<std::uint32_t> chosen;  ///< relative to `first`, rising
};

/// Part of a float array [iteration, rank, item, ...] with all rows: values[(row * ranks + rank) *
/// width + column], where `width` columns are `items` items with all that is below them.
struct Piece {
    std::uint64_t first_rank = 0;
    std::uint64_t ranks = 0;
    std::uint64_t first_column = 0;
    std::uint64_t width = 1;
    hdf5::Slab slab;
    std::span<const float> values;

    [[nodiscard]] float at(std::uint64_t row, std::uint64_t rank, std::uint64_t column) const {
        return values[(row * ranks + rank) * width + column];
    }
};

/// `count` rows of any array over iterations, from `first` on.
template <class Value>
[[nodiscard]] std::vector<Value> read_rows(const hdf5::File& file, const std::string& dataset,
                                           std::uint64_t first, std::uint64_t count) {
    hdf5::Extent extent = file.extent(dataset);
    extent[0] = count;
    hdf5::Slab slab{hdf5::Extent(extent.size(), 0), extent};
    slab.start[0] = first;
    return file.read<Value>(dataset, slab);
}

/// Calls `use(first, chosen)` for all chosen rows, so many at once that reading an array's rows
/// `first` to `first + chosen.back()` takes no more than `most_values` of `row_values` each, and
/// ends where a chunk of `chunk` rows does if one fits. `chosen` is relative to `first`.
template <class Use>
void for_each_slab(const Rows& rows, std::uint64_t row_values, std::uint64_t most_values,
                   std::uint64_t chunk, Use use) {
    const std::uint64_t at_once = std::max<std::uint64_t>(1, most_values / row_values);
    std::vector<std::uint64_t> chosen;
    for (auto next = rows.chosen.begin(); next != rows.chosen.end();) {
        const std::uint64_t first = rows.first + *next;
        std::uint64_t end = first + at_once;
        if (at_once >= chunk) {
            end -= end % chunk;
        }
        chosen.clear();
        for (; next != rows.chosen.end() && rows.first + *next < end; ++next) {
            chosen.push_back(rows.first + *next - first);
        }
        use(first, std::as_const(chosen));
    }
}

/// Calls `use(piece)` for all of a dataset; ranks rise, and within the same ranks columns.
template <class Use>
void for_each_piece(const hdf5::File& file, const std::string& dataset, const Rows& rows, Use use) {
    constexpr std::uint64_t piece_floats = std::uint64_t{32} << 20;
    const hdf5::Extent extent = file.extent(dataset);
    const hdf5::Extent chunk = file.chunk(dataset);
    std::uint64_t below = 1;  // floats in one item
    for (std::size_t axis = 3; axis < extent.size(); ++axis) {
        below *= extent[axis];
    }
    const std::uint64_t items = extent.size() > 2 ? extent[2] : 1;
    const std::uint64_t per_rank = std::max<std::uint64_t>(1, rows.count * items * below);
    // Whole chunks are read once; only where one rank alone is too much are its items divided.
    std::uint64_t ranks_at_once = std::max<std::uint64_t>(1, piece_floats / per_rank);
    if (ranks_at_once > chunk.at(1)) {
        ranks_at_once -= ranks_at_once % chunk[1];
    }
    const std::uint64_t items_at_once = std::clamp<std::uint64_t>(
        piece_floats / std::max<std::uint64_t>(1, rows.count * below), 1, items);

    std::vector<float> values;
    for (std::uint64_t rank = 0; rank < extent.at(1); rank += ranks_at_once) {
        for (std::uint64_t item = 0; item < items; item += items_at_once) {
            hdf5::Slab slab{hdf5::Extent(extent.size(), 0), extent};
            slab.start[0] = rows.first;
            slab.count[0] = rows.count;
            slab.start[1] = rank;
            slab.count[1] = std::min<std::uint64_t>(ranks_at_once, extent[1] - rank);
            if (extent.size() > 2) {
                slab.start[2] = item;
                slab.count[2] = std::min<std::uint64_t>(items_at_once, items - item);
            }
            const std::uint64_t width = extent.size() > 2 ? slab.count[2] * below : 1;
            values.resize(rows.count * slab.count[1] * width);
            file.read_into<float>(dataset, slab, values);
            use(Piece{rank, slab.count[1], item * below, width, slab, values});
        }
    }
}

}  // namespace layerledger
