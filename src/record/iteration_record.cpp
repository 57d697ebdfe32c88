#include "layerledger/record/iteration_record.hpp"

#include <algorithm>

#include "layerledger/base/contract.hpp"

namespace layerledger {

RecordLayout::RecordLayout(const Extents& of) : extents(of) {
    std::size_t next = 0;
    const auto take = [&next](std::size_t floats) {
        const std::size_t column = next;
        next += floats;
        return column;
    };
    iteration_time = take(1);
    unaccounted = take(1);
    allreduce_hidden = take(1);
    memcpy_hidden = take(1);
    launch_bound = take(1);
    h2d_start = take(1);
    h2d_end = take(1);
    d2h_start = take(1);
    d2h_end = take(1);
    loss = take(1);
    top1 = take(1);
    topk = take(1);
    activity_time = take(activity_count);
    layer_time = take(of.layers * phases.size());
    layer_start = take(of.layers * phases.size());
    op_time = take(of.ops * phases.size());
    bucket_ready = take(of.buckets);
    bucket_start = take(of.buckets);
    bucket_transfer = take(of.buckets);
    bucket_end = take(of.buckets);
    size = next;
}

void pack(const RecordLayout& layout, const Account& account, const IterationMetrics& metrics,
          std::span<float> row) {
    LL_EXPECT(row.size() == layout.size);
    row[layout.iteration_time] = account.iteration_time;
    row[layout.unaccounted] = account.unaccounted;
    row[layout.allreduce_hidden] = account.allreduce_hidden;
    row[layout.memcpy_hidden] = account.memcpy_hidden;
    row[layout.launch_bound] = account.launch_bound;
    row[layout.h2d_start] = account.h2d_start;
    row[layout.h2d_end] = account.h2d_end;
    row[layout.d2h_start] = account.d2h_start;
    row[layout.d2h_end] = account.d2h_end;
    row[layout.loss] = metrics.loss;
    row[layout.top1] = metrics.top1;
    row[layout.topk] = metrics.topk;

    const auto put = [row](std::size_t column, std::span<const float> values,
                           [[maybe_unused]] std::size_t expected) {
        LL_EXPECT(values.size() == expected);
        std::ranges::copy(values, row.begin() + static_cast<std::ptrdiff_t>(column));
    };
    const Extents& extents = layout.extents;
    put(layout.activity_time, account.activity_time, activity_count);
    put(layout.layer_time, account.layer_time, extents.layers * phases.size());
    put(layout.layer_start, account.layer_start, extents.layers * phases.size());
    put(layout.op_time, account.op_time, extents.ops * phases.size());
    put(layout.bucket_ready, account.bucket_ready, extents.buckets);
    put(layout.bucket_start, account.bucket_start, extents.buckets);
    put(layout.bucket_transfer, account.bucket_transfer, extents.buckets);
    put(layout.bucket_end, account.bucket_end, extents.buckets);
}

}  // namespace layerledger
