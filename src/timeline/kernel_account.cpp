#include "layerledger/timeline/kernel_account.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <utility>

#include "layerledger/timeline/intervals.hpp"

namespace layerledger {
namespace {

/// Two spans that share a mark differ by rounding alone: starts and times are floats of
/// microseconds.
bool is_same_mark(std::int64_t a_ns, std::int64_t b_ns) {
    return std::abs(a_ns - b_ns) <= 20 + std::abs(a_ns) / 4'000'000;
}

float microseconds(std::int64_t ns) {
    return static_cast<float>(static_cast<double>(ns) / 1e3);
}

std::int64_t nanoseconds(float us) {
    return std::llround(static_cast<double>(us) * 1e3);
}

std::int64_t middle(const Interval& interval) {
    return interval.start + interval.length() / 2;
}

double median(std::vector<double> values) {
    const auto half = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, half);
    return *half;
}

/// From the observer's clock to nanoseconds since the start of the iteration. Both run evenly, but
/// not equally fast.
class Alignment {
public:
    /// `seen_ns` and `marked_ns` are the same moments on the two clocks.
    Alignment(const std::vector<std::int64_t>& seen_ns, const std::vector<std::int64_t>& marked_ns)
        : origin_ns_(seen_ns.front()) {
        const std::size_t half = seen_ns.size() / 2;
        const auto of = [&](std::size_t first, std::size_t last) {
            std::vector<double> at;
            std::vector<double> shifts;
            for (std::size_t i = first; i < last; ++i) {
                at.push_back(static_cast<double>(seen_ns[i] - origin_ns_));
                shifts.push_back(static_cast<double>(marked_ns[i] - (seen_ns[i] - origin_ns_)));
            }
            return std::pair(median(at), median(shifts));
        };
        const auto [early, early_shift] = of(0, half);
        const auto [late, late_shift] = of(half, seen_ns.size());
        slope_ = late > early ? (late_shift - early_shift) / (late - early) : 0;
        shift_ = early_shift - slope_ * early;
        for (std::size_t i = 0; i < seen_ns.size(); ++i) {
            mismatch_ns_ = std::max(mismatch_ns_, std::abs(marked_ns[i] - (*this)(seen_ns[i])));
        }
    }

    [[nodiscard]] std::int64_t operator()(std::int64_t seen_ns) const {
        const auto since = static_cast<double>(seen_ns - origin_ns_);
        return std::llround(since + shift_ + slope_ * since);
    }
    [[nodiscard]] std::int64_t mismatch_ns() const noexcept { return mismatch_ns_; }

private:
    std::int64_t origin_ns_;
    double slope_ = 0;
    double shift_ = 0;
    std::int64_t mismatch_ns_ = 0;
};

/// Nothing where the anchors' records are not those of the marks.
std::optional<Alignment> align(std::span<const std::int64_t> anchors_ns,
                               const DeviceRecords& records, std::int64_t iteration_ns) {
    std::vector<std::int64_t> seen;
    for (const DeviceRecord& record : records.records) {
        if (record.work == DeviceWork::anchor) {
            seen.push_back(record.end_ns);
        }
    }
    if (seen.size() != anchors_ns.size() || seen.size() < 2) {
        return std::nullopt;
    }
    std::ranges::sort(seen);
    std::vector<std::int64_t> marked;
    for (const std::int64_t ns : anchors_ns) {
        marked.push_back(ns - iteration_ns);
    }
    return Alignment(seen, marked);
}

/// What the device did within the iteration, as nanoseconds since its start.
struct Seen {
    std::vector<Interval> work;     ///< each record that is a layer's, by its middle
    std::vector<Interval> kernels;  ///< of them the kernels
    std::vector<Interval> beside;
    std::array<std::vector<Interval>, copy_kind_names.size()> copies;
};

Seen sort_out(const DeviceRecords& records, const Alignment& aligned, std::int64_t window_ns,
              KernelAccount& account) {
    Seen seen;
    for (const DeviceRecord& record : records.records) {
        const Interval interval{aligned(record.start_ns), aligned(record.end_ns)};
        if (record.work == DeviceWork::anchor || middle(interval) < 0 ||
            middle(interval) >= window_ns) {
            continue;
        }
        switch (record.work) {
            case DeviceWork::kernel:
                seen.kernels.push_back(interval);
                seen.work.push_back(interval);
                ++account.kernels;
                break;
            case DeviceWork::communication:
                seen.beside.push_back(interval);
                ++account.kernels;
                break;
            case DeviceWork::fill: seen.work.push_back(interval); break;
            case DeviceWork::copy_d2d: seen.work.push_back(interval); [[fallthrough]];
            case DeviceWork::copy_h2d:
            case DeviceWork::copy_d2h: {
                const auto kind = static_cast<std::size_t>(record.work) -
                                  static_cast<std::size_t>(DeviceWork::copy_h2d);
                seen.copies[kind].push_back(interval);
                ++account.copies[kind].count;
                account.copies[kind].bytes += record.bytes;
                if (record.work != DeviceWork::copy_d2d) {
                    seen.beside.push_back(interval);
                }
                break;
            }
            case DeviceWork::anchor: break;
        }
    }
    std::ranges::sort(seen.work, {}, middle);
    std::ranges::sort(seen.kernels, {}, middle);
    return seen;
}

/// A layer's phase by the marks, as nanoseconds since the iteration's start.
struct Window {
    std::size_t cell = 0;
    Interval span;
};

std::vector<Window> windows_of(const Account& iteration) {
    std::vector<Window> windows;
    for (std::size_t cell = 0; cell < iteration.layer_time.size(); ++cell) {
        if (!std::isnan(iteration.layer_time[cell])) {
            const std::int64_t start = nanoseconds(iteration.layer_start[cell]);
            windows.push_back({cell, {start, start + nanoseconds(iteration.layer_time[cell])}});
        }
    }
    std::ranges::sort(windows, {}, [](const Window& window) { return window.span.start; });
    return windows;
}

void fill_layers(const Account& iteration, const Seen& seen, KernelAccount& account) {
    account.layers.assign(iteration.layer_time.size(), {});
    const std::vector<Interval> busy = united(seen.work);
    const std::vector<Interval> beside = united(seen.beside);
    auto record = seen.work.begin();
    auto kernel = seen.kernels.begin();
    std::int64_t previous_marked_end = 0;
    std::optional<std::int64_t> previous_seen_end;
    for (const auto& [cell, span] : windows_of(iteration)) {
        LayerKernels& layer = account.layers[cell];
        layer.marked = iteration.layer_time[cell];
        const std::array window{span};
        const std::int64_t busy_ns = total_length(intersection(busy, window));
        layer.busy = microseconds(busy_ns);
        layer.idle = microseconds(span.length() - busy_ns);
        layer.beside = microseconds(total_length(intersection(beside, window)));

        while (kernel != seen.kernels.end() && middle(*kernel) < span.end) {
            layer.kernels += middle(*kernel) >= span.start ? 1 : 0;
            ++kernel;
        }
        std::optional<std::int64_t> seen_end;
        while (record != seen.work.end() && middle(*record) < span.end) {
            if (middle(*record) >= span.start) {
                seen_end = std::max(seen_end.value_or(record->end), record->end);
            }
            ++record;
        }
        // A mark that two layers share is the end of the earlier one's last kernel, by the records
        // too. Else a layer begins where the mark says that the host began to launch it.
        const bool shares = previous_seen_end && is_same_mark(span.start, previous_marked_end);
        if (seen_end) {
            layer.seen = microseconds(*seen_end - (shares ? *previous_seen_end : span.start));
        }
        previous_marked_end = span.end;
        previous_seen_end = seen_end;
    }
}

}  // namespace

KernelAccount close_kernel_account(const Account& iteration,
                                   std::span<const std::int64_t> anchors_ns,
                                   const DeviceRecords& records) {
    KernelAccount account;
    account.dropped = records.dropped;
    account.iteration_time = iteration.iteration_time;
    const std::optional<Alignment> aligned = align(anchors_ns, records, iteration.start_ns);
    if (!aligned || records.dropped > 0) {
        return account;
    }
    account.mismatch = microseconds(aligned->mismatch_ns());
    const std::int64_t window_ns = nanoseconds(iteration.iteration_time);
    const Seen seen = sort_out(records, *aligned, window_ns, account);
    fill_layers(iteration, seen, account);

    std::vector<Interval> everything = seen.work;
    everything.insert(everything.end(), seen.beside.begin(), seen.beside.end());
    const std::array window{Interval{0, window_ns}};
    account.busy = microseconds(total_length(intersection(united(std::move(everything)), window)));
    const std::vector<Interval> kernels = united(seen.kernels);
    for (std::size_t kind = 0; kind < seen.copies.size(); ++kind) {
        const std::vector<Interval> copies = united(seen.copies[kind]);
        account.copies[kind].time_us = static_cast<double>(total_length(copies)) / 1e3;
        account.copies[kind].hidden_us =
            static_cast<double>(total_length(intersection(copies, kernels))) / 1e3;
    }
    return account;
}

}  // namespace layerledger
