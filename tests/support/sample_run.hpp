// A small run with numbers that can be computed in the head, for tests of the run file.
#pragma once

#include "layerledger/record/iteration_record.hpp"
#include "layerledger/record/run_description.hpp"

namespace layerledger::testing {

/// Layers conv1, pool1 (no update) and output, two buckets, one of them of two layers.
[[nodiscard]] RunDescription sample_description(std::size_t ranks, Level level = Level::layer);

/// What rank `rank` recorded in `iteration`, in microseconds:
/// layer_time 100 (layer + 1) + 10 phase + rank + iteration / 4, layer_start 1000 phase + 100
/// layer, op_time layer_time / 2, activity_time 2 (activity + 1) + rank, unaccounted 0.5,
/// iteration_time their sum, allreduce_hidden 3 + rank, bucket times 2000 + 10 bucket + {0, 1, 2,
/// 5}; memcpy_hidden absent. Every fourth iteration (3, 7, ...) is not profiled: only
/// iteration_time, 2500 + rank.
[[nodiscard]] Account sample_account(const RunDescription& description, std::int64_t iteration,
                                     std::size_t rank);

/// loss 2 - iteration / 8 + rank, top1 iteration / 128, topk iteration / 64.
[[nodiscard]] IterationMetrics sample_metrics(std::int64_t iteration, std::size_t rank);

/// epoch iteration / 4, learning_rate 0.5 / 2^epoch, iterations 0 and 1 are warm-up.
[[nodiscard]] IterationFacts sample_facts(std::int64_t iteration);

/// Iterations [first, first + count) of all ranks. Starts: 1 s + 1 ms an iteration + 10 ns a rank.
[[nodiscard]] RecordBlock sample_block(const RunDescription& description, std::int64_t first,
                                       std::size_t count);

}  // namespace layerledger::testing
