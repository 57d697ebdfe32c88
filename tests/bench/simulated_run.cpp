#include "simulated_run.hpp"

#include <cmath>

#include "layerledger/base/phase.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::bench {
namespace {

float whole_ns(double us) {
    return static_cast<float>(std::round(us * 1000) / 1000);
}

}  // namespace

RunDescription simulated_run(std::string_view title, std::size_t ranks) {
    RunDescription run;
    run.title = title;
    run.run_id = "00000000-0000-4000-8000-000000000000";
    run.date_created = "2026-01-01T00:00:00Z";
    run.start = {.iteration = 0,
                 .date = run.date_created,
                 .ranks = static_cast<std::int64_t>(ranks),
                 .command_line = "",
                 .hosts = "",
                 .versions = "",
                 .checkpoint = ""};
    run.warmup_iterations = 5;
    run.batch_size = 32;
    run.network = {{"name", "resnet50"}};
    for (std::size_t layer = 0; layer < simulated_layers; ++layer) {
        LayerDescription description;
        description.name = text("conv", layer + 1);
        description.kind = "conv";
        description.flops = {4e9, 8e9, 1e6};
        run.layers.push_back(description);
    }
    run.buckets.resize(simulated_buckets);
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        RankDescription description;
        description.host = text("node", rank / 8);
        description.local_rank = static_cast<std::int32_t>(rank % 8);
        run.ranks.push_back(description);
    }
    return run;
}

SimulatedRecords::SimulatedRecords(const RunDescription& run)
    : layout_(run.extents()), ranks_(run.ranks.size()) {
    std::uniform_real_distribution<double> typical_us(50, 2000);
    for (std::size_t i = 0; i < simulated_layers * phases.size(); ++i) {
        typical_us_.push_back(typical_us(random_));
    }
}

RecordBlock SimulatedRecords::block(std::int64_t first, std::size_t count) {
    RecordBlock block;
    block.rows.resize(ranks_ * count * layout_.size);
    block.starts_ns.resize(ranks_ * count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t iteration = first + static_cast<std::int64_t>(i);
        block.facts.push_back({iteration, 0, 0.1F, iteration < 5, true});
        for (std::size_t rank = 0; rank < ranks_; ++rank) {
            const std::size_t row = rank * count + i;
            block.starts_ns[row] =
                iteration * simulated_iteration_ns + static_cast<std::int64_t>(rank);
            fill(std::span(block.rows).subspan(row * layout_.size, layout_.size));
        }
    }
    return block;
}

double SimulatedRecords::scatter() {
    constexpr double range = static_cast<double>(std::minstd_rand::max());
    return 0.97 + 0.06 * static_cast<double>(random_()) / range;
}

void SimulatedRecords::fill(std::span<float> row) {
    double sum_us = 0;
    for (std::size_t i = 0; i < typical_us_.size(); ++i) {
        const float time_us = whole_ns(typical_us_[i] * scatter());
        row[layout_.layer_time + i] = time_us;
        row[layout_.layer_start + i] = whole_ns(sum_us);
        sum_us += time_us;
    }
    for (std::size_t i = 0; i < activity_count; ++i) {
        const float time_us = whole_ns(100 * scatter());
        row[layout_.activity_time + i] = time_us;
        sum_us += time_us;
    }
    for (std::size_t i = 0; i < simulated_buckets; ++i) {
        row[layout_.bucket_ready + i] = whole_ns(100'000 * scatter());
        row[layout_.bucket_start + i] = whole_ns(110'000 * scatter());
        row[layout_.bucket_transfer + i] = whole_ns(120'000 * scatter());
        row[layout_.bucket_end + i] = whole_ns(130'000 * scatter());
    }
    row[layout_.unaccounted] = whole_ns(10 * scatter());
    row[layout_.allreduce_hidden] = whole_ns(5000 * scatter());
    row[layout_.memcpy_hidden] = whole_ns(500 * scatter());
    row[layout_.launch_bound] = whole_ns(2000 * scatter());
    row[layout_.iteration_time] = static_cast<float>(sum_us + row[layout_.unaccounted]);
    row[layout_.loss] = 6.9F;
    row[layout_.top1] = 0.001F;
    row[layout_.topk] = 0.005F;
}

}  // namespace layerledger::bench
