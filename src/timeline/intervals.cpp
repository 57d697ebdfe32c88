#include "layerledger/timeline/intervals.hpp"

#include <algorithm>

namespace layerledger {

std::vector<Interval> united(std::vector<Interval> intervals) {
    std::erase_if(intervals, [](const Interval& i) { return i.length() == 0; });
    std::sort(intervals.begin(), intervals.end(),
              [](const Interval& a, const Interval& b) { return a.start < b.start; });
    std::vector<Interval> result;
    for (const Interval& interval : intervals) {
        if (!result.empty() && interval.start <= result.back().end) {
            result.back().end = std::max(result.back().end, interval.end);
        } else {
            result.push_back(interval);
        }
    }
    return result;
}

std::vector<Interval> intersection(std::span<const Interval> a, std::span<const Interval> b) {
    std::vector<Interval> result;
    for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
        const Interval common{std::max(a[i].start, b[j].start), std::min(a[i].end, b[j].end)};
        if (common.length() > 0) {
            result.push_back(common);
        }
        // The one that ends first cannot meet anything further on.
        if (a[i].end < b[j].end) {
            ++i;
        } else {
            ++j;
        }
    }
    return result;
}

std::vector<Interval> difference(std::span<const Interval> a, std::span<const Interval> b) {
    std::vector<Interval> result;
    std::size_t j = 0;
    for (const Interval& interval : a) {
        std::int64_t from = interval.start;
        while (j < b.size() && b[j].end <= from) {
            ++j;
        }
        for (std::size_t k = j; k < b.size() && b[k].start < interval.end; ++k) {
            if (b[k].start > from) {
                result.push_back({from, b[k].start});
            }
            from = std::max(from, b[k].end);
        }
        if (from < interval.end) {
            result.push_back({from, interval.end});
        }
    }
    return result;
}

std::int64_t total_length(std::span<const Interval> intervals) {
    std::int64_t total = 0;
    for (const Interval& interval : intervals) {
        total += interval.length();
    }
    return total;
}

}  // namespace layerledger
