// One rank's one iteration as a row of floats: what travels to rank 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "layerledger/timeline/ledger.hpp"

namespace layerledger {

/// Where each quantity lies in the row. All ranks have the same layout; see `Account` for meanings.
struct RecordLayout {
    explicit RecordLayout(const Extents& extents);

    Extents extents;
    std::size_t iteration_time = 0, unaccounted, allreduce_hidden, memcpy_hidden,
        launch_bound;
    std::size_t h2d_start, h2d_end, d2h_start, d2h_end;
    std::size_t loss, top1, topk;         ///< this rank's means over its batch
    std::size_t activity_time;            ///< activity_count floats
    std::size_t layer_time, layer_start;  ///< layers * 3
    std::size_t op_time;                  ///< ops * 3
    std::size_t bucket_ready, bucket_start, bucket_transfer, bucket_end;
    std::size_t size;  ///< floats in the row
};

/// What an iteration achieved, as means over this rank's batch.
struct IterationMetrics {
    float loss = absent;
    float top1 = absent;
    float topk = absent;
};

/// Writes one row. `row.size() == layout.size`.
void pack(const RecordLayout& layout, const Account& account, const IterationMetrics& metrics,
          std::span<float> row);

/// Facts about an iteration that are the same on all ranks.
struct IterationFacts {
    std::int64_t iteration = 0;
    std::int32_t epoch = 0;
    float learning_rate = 0;
    bool warmup = false;
    bool profiled = true;
};

/// Consecutive iterations of all ranks, on rank 0. rows[(rank * iterations + i) * layout.size + k],
/// starts_ns[rank * iterations + i] on rank 0's steady clock.
struct RecordBlock {
    std::vector<IterationFacts> facts;
    std::vector<std::int64_t> starts_ns;
    std::vector<float> rows;

    [[nodiscard]] std::size_t iterations() const noexcept { return facts.size(); }
};

}  // namespace layerledger
