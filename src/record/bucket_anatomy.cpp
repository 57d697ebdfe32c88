#include "bucket_anatomy.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "event_table.hpp"
#include "layerledger/base/phase.hpp"
#include "measured_rows.hpp"
#include "row_reader.hpp"

namespace layerledger {
namespace {

/// Floats that are in memory at once.
constexpr std::uint64_t slab_values = std::uint64_t{8} << 20;

/// Iterations that are compared with each other, so that memory does not grow with the run.
constexpr std::size_t stretch_iterations = 1024;

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

/// One bucket's all-reduce, means over the ranks: hidden and exposed together take as long as wait
/// and transfer.
struct Parts {
    double hidden = 0, exposed = 0, wait = 0, transfer = 0;

    void add(const Parts& other, double weight) {
        hidden += weight * other.hidden;
        exposed += weight * other.exposed;
        wait += weight * other.wait;
        transfer += weight * other.transfer;
    }
    /// Absent only where the bucket was not timed: without layers the first two are.
    [[nodiscard]] double all() const { return wait + transfer; }
};

/// The mean of one bucket's iterations without those that took shortest or longest, a quarter each:
/// of the same iterations for all parts, so that they add up, and of none that something disturbed.
class MiddleHalf {
public:
    void add(const Parts& iteration) {
        if (!std::isnan(iteration.all())) {
            stretch_.push_back(iteration);
        }
        if (stretch_.size() == stretch_iterations) {
            close_stretch();
        }
    }

    /// NaN where there was no iteration.
    [[nodiscard]] Parts mean() {
        close_stretch();
        Parts mean;
        mean.add(sum_, 1 / weight_);
        return mean;
    }

private:
    void close_stretch() {
        std::ranges::sort(stretch_, {}, &Parts::all);
        const std::size_t left_out = stretch_.size() / 4;
        const std::size_t kept = stretch_.size() - 2 * left_out;
        const auto all = static_cast<double>(stretch_.size());
        for (const Parts& iteration : std::span(stretch_).subspan(left_out, kept)) {
            sum_.add(iteration, all / static_cast<double>(kept));
        }
        weight_ += all;
        stretch_.clear();
    }

    std::vector<Parts> stretch_;
    Parts sum_;
    double weight_ = 0;
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
    std::vector<MiddleHalf> of_buckets(buckets);
    const auto add_rows = [&](std::uint64_t first, const std::vector<std::uint64_t>& chosen) {
        const std::uint64_t count = chosen.back() + 1;
        const auto start = read_rows<float>(file, "bucket_start", first, count);
        const auto arrived = read_rows<float>(file, "bucket_transfer", first, count);
        const auto end = read_rows<float>(file, "bucket_end", first, count);
        const auto layer_start = backward_rows(file, "layer_start", first, count);
        const auto layer_time = backward_rows(file, "layer_time", first, count);
        for (const std::uint64_t row : chosen) {
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
                    parts[bucket].add({.hidden = all - exposed,
                                       .exposed = exposed,
                                       .wait = arrived[at] - start[at],
                                       .transfer = end[at] - arrived[at]},
                                      1 / static_cast<double>(ranks));
                }
            }
            for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
                of_buckets[bucket].add(parts[bucket]);
            }
        }
    };
    for_each_slab(rows, ranks * (2 * layers + 3 * buckets), slab_values,
                  file.chunk("bucket_end").front(), add_rows);
    std::vector<BucketAnatomy> anatomy = read_anatomy(file);  // with what was measured without skew
    anatomy.resize(buckets);
    const auto bytes = file.read<std::int64_t>("bucket_bytes");
    for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
        BucketAnatomy& of_bucket = anatomy[bucket];
        of_bucket.iteration = static_cast<std::int64_t>(bucket);
        const Parts parts = of_buckets[bucket].mean();
        of_bucket.hidden_us = parts.hidden;
        of_bucket.exposed_us = parts.exposed;
        of_bucket.wait_us = parts.wait;
        of_bucket.transfer_us = parts.transfer;
        of_bucket.algorithm_bandwidth =
            static_cast<double>(bytes[bucket]) / of_bucket.transfer_us * 1e-3;
        of_bucket.bus_bandwidth = of_bucket.algorithm_bandwidth * 2 *
                                  static_cast<double>(ranks - 1) / static_cast<double>(ranks);
    }
    write_events(file, anatomy, 0);
}

}  // namespace layerledger
