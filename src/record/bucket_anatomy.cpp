#include "bucket_anatomy.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "event_table.hpp"
#include "layerledger/base/phase.hpp"
#include "measured_rows.hpp"
#include "median.hpp"

namespace layerledger {
namespace {

constexpr std::uint64_t rows_at_once = 256;

std::vector<float> backward_rows(const hdf5::File& file, const std::string& dataset,
                                 std::uint64_t first, std::uint64_t count) {
    hdf5::Extent extent = file.extent(dataset);
    hdf5::Slab slab{hdf5::Extent(extent.size(), 0), extent};
    slab.start[0] = first;
    slab.count[0] = count;
    slab.start[3] = index(Phase::backward);
    slab.count[3] = 1;
    return file.read<float>(dataset, slab);
}

/// Means over the ranks, one an iteration.
struct Series {
    std::vector<double> hidden, exposed, wait, transfer;
};

/// One iteration's times of one bucket, a rank's share of their means.
struct Parts {
    double hidden = 0, exposed = 0, wait = 0, transfer = 0;
};

}  // namespace

void write_anatomy(hdf5::File& file) {
    const auto committed =
        static_cast<std::uint64_t>(file.integer_attribute("/", "committed_iterations").value_or(0));
    if (committed == 0 || !file.contains("anatomy") || !file.contains("bucket")) {
        return;
    }
    const Rows rows = measured_rows(file, committed);
    const hdf5::Extent extent = file.extent("bucket_end");
    const std::size_t ranks = extent[1];
    const std::size_t buckets = extent[2];
    const std::size_t layers = file.extent("layer").front();
    if (ranks < 2 || rows.chosen.empty()) {
        return;
    }
    std::vector<Series> series(buckets);
    for (std::uint64_t chosen = 0; chosen < rows.chosen.size();) {
        const std::uint64_t first = rows.first + rows.chosen[chosen];
        const std::uint64_t count = std::min(rows_at_once, rows.first + rows.count - first);
        const auto start = read_rows<float>(file, "bucket_start", first, count);
        const auto arrived = read_rows<float>(file, "bucket_transfer", first, count);
        const auto end = read_rows<float>(file, "bucket_end", first, count);
        const auto layer_start = backward_rows(file, "layer_start", first, count);
        const auto layer_time = backward_rows(file, "layer_time", first, count);
        for (; chosen < rows.chosen.size() && rows.first + rows.chosen[chosen] < first + count;
             ++chosen) {
            const std::uint64_t row = rows.first + rows.chosen[chosen] - first;
            std::vector<Parts> parts(buckets);
            for (std::size_t rank = 0; rank < ranks; ++rank) {
                // From the end of the backward pass on nothing hides the all-reduce.
                double backward_end = absent;
                for (std::size_t layer = 0; layer < layers; ++layer) {
                    const std::size_t at = (row * ranks + rank) * layers + layer;
                    backward_end = std::fmax(backward_end, layer_start[at] + layer_time[at]);
                }
                for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
                    const std::size_t at = (row * ranks + rank) * buckets + bucket;
                    const double all = end[at] - start[at];
                    const double exposed = std::isnan(backward_end)
                                               ? absent
                                               : std::clamp(end[at] - backward_end, 0.0, all);
                    const double share = 1 / static_cast<double>(ranks);
                    parts[bucket].exposed += share * exposed;
                    parts[bucket].hidden += share * (all - exposed);
                    parts[bucket].wait += share * (arrived[at] - start[at]);
                    parts[bucket].transfer += share * (end[at] - arrived[at]);
                }
            }
            for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
                series[bucket].hidden.push_back(parts[bucket].hidden);
                series[bucket].exposed.push_back(parts[bucket].exposed);
                series[bucket].wait.push_back(parts[bucket].wait);
                series[bucket].transfer.push_back(parts[bucket].transfer);
            }
        }
    }
    std::vector<BucketAnatomy> anatomy = read_anatomy(file);  // with what was measured without skew
    anatomy.resize(buckets);
    const auto bytes = file.read<std::int64_t>("bucket_bytes");
    for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
        BucketAnatomy& of_bucket = anatomy[bucket];
        of_bucket.iteration = static_cast<std::int64_t>(bucket);
        of_bucket.hidden_us = median(series[bucket].hidden);
        of_bucket.exposed_us = median(series[bucket].exposed);
        of_bucket.wait_us = median(series[bucket].wait);
        of_bucket.transfer_us = median(series[bucket].transfer);
        of_bucket.algorithm_bandwidth =
            static_cast<double>(bytes[bucket]) / of_bucket.transfer_us * 1e-3;
        of_bucket.bus_bandwidth = of_bucket.algorithm_bandwidth * 2 *
                                  static_cast<double>(ranks - 1) / static_cast<double>(ranks);
    }
    write_events(file, anatomy, 0);
}

}  // namespace layerledger
