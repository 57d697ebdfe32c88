#include "block_reader.hpp"

#include <algorithm>
#include <cmath>

#include "layerledger/base/phase.hpp"
#include "layerledger/timeline/ledger.hpp"

namespace layerledger {

float IterationBlock::layers_time(std::uint64_t row, std::uint64_t rank) const {
    const std::uint64_t width = layers * phases.size();
    const auto first =
        layer_time.begin() + static_cast<std::ptrdiff_t>((row * ranks + rank) * width);
    double sum = 0;
    bool is_absent = true;
    for (auto time = first; time != first + static_cast<std::ptrdiff_t>(width); ++time) {
        if (!std::isnan(*time)) {
            sum += *time;
            is_absent = false;
        }
    }
    return is_absent ? absent : static_cast<float>(sum);
}

BlockReader::BlockReader(const hdf5::File& file, std::uint64_t rows)
    : file_(file),
      rows_(rows),
      ranks_(file.extent("rank").at(0)),
      layers_(file.extent("layer").at(0)) {
    if (rows_ > 0) {
        // Whole chunks are read once, as many as fit.
        constexpr std::uint64_t block_floats = std::uint64_t{8} << 20;
        const std::uint64_t row_floats =
            std::max<std::uint64_t>(1, ranks_ * (layers_ * phases.size() + activity_count + 2));
        const std::uint64_t chunk = std::max<std::uint64_t>(1, file.chunk("layer_time").at(0));
        const std::uint64_t fitting = std::max<std::uint64_t>(1, block_floats / row_floats);
        rows_at_once_ = fitting > chunk ? fitting - fitting % chunk : fitting;
    }
}

template <class T>
void BlockReader::read(const char* dataset, const hdf5::Extent& below,
                       std::vector<T>& values) const {
    hdf5::Slab slab{hdf5::Extent(below.size() + 1, 0), {count_}};
    slab.start[0] = first_;
    slab.count.insert(slab.count.end(), below.begin(), below.end());
    std::uint64_t size = 1;
    for (const auto extent : slab.count) {
        size *= extent;
    }
    values.resize(size);
    file_.read_into<T>(dataset, slab, values);
}

bool BlockReader::next(IterationBlock& block) {
    first_ += count_;
    count_ = std::min(rows_at_once_, rows_ - first_);
    if (count_ == 0) {
        return false;
    }
    block.rows = count_;
    block.ranks = ranks_;
    block.layers = layers_;
    read("iteration", {}, block.iteration);
    read("epoch", {}, block.epoch);
    read("warmup", {}, block.warmup);
    read("loss", {}, block.loss);
    read("top1", {}, block.top1);
    read("topk", {}, block.topk);
    read("iteration_time", {ranks_}, block.iteration_time);
    read("unaccounted", {ranks_}, block.unaccounted);
    read("activity_time", {ranks_, activity_count}, block.activity_time);
    read("layer_time", {ranks_, layers_, phases.size()}, block.layer_time);
    return true;
}

}  // namespace layerledger
