#include "zero_skew.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace layerledger {
namespace {

constexpr std::size_t repetitions = 5;

}  // namespace

std::vector<double> measure_zero_skew(const Communicator& world, Backend& backend,
                                      Collective& collective, const std::vector<Bucket>& buckets) {
    std::vector<double> all_us(buckets.size(), std::numeric_limits<double>::quiet_NaN());
    MarkSource& marks = backend.marks();
    if (world.size() == 1 || buckets.empty() || marks.latency() > 0) {
        return all_us;
    }
    std::size_t largest = 0;
    for (const Bucket& bucket : buckets) {
        largest = std::max(largest, bucket.slice.size);
    }
    const std::unique_ptr<Buffer> zeros = backend.allocate(largest);
    for (std::size_t i = 0; i < buckets.size(); ++i) {
        std::array<double, repetitions> times_us{};
        for (double& time_us : times_us) {
            world.barrier();
            BucketSpan span;
            span.ready = marks.mark();
            collective.start(buckets[i].id, zeros->span().subspan(0, buckets[i].slice.size), span);
            collective.join();
            time_us = static_cast<double>(marks.nanoseconds(span.end) -
                                          marks.nanoseconds(span.transfer)) /
                      1e3;
        }
        std::ranges::sort(times_us);
        all_us[i] = times_us[repetitions / 2];
    }
    return all_us;
}

}  // namespace layerledger
