#include "support/sample_run.hpp"

#include <algorithm>
#include <cmath>

#include "layerledger/base/phase.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::testing {
namespace {

constexpr std::size_t pool1 = 1;

}  // namespace

RunDescription sample_description(std::size_t ranks, Level level) {
    RunDescription run;
    run.title = "sample";
    run.run_id = "6c1f3f2e-58f5-4a4c-9d0e-4f2f1d1b7a10";
    run.date_created = "2026-11-24T03:00:00Z";
    run.start = {.iteration = 0,
                 .date = run.date_created,
                 .ranks = static_cast<std::int64_t>(ranks),
                 .command_line = "layerledger train",
                 .hosts = "node0",
                 .versions = "hdf5=1.10.8\n",
                 .checkpoint = ""};
    run.level = level;
    run.warmup_iterations = 2;
    run.batch_size = 4;
    run.config_text = "[train]\nbatch_size = 4\n";
    run.settings = {{"train.batch_size", "4", "command line"}, {"data.root", "", "default"}};
    run.provenance = {{"hdf5", "1.10.8"}};
    run.network = {{"name", "lenet5"}, {"classes", "10"}, {"backend", "cpu"}};
    run.layers = {
        {"conv1", "conv", 520, {1e6, 2e6, 1040}, {1e4, 2e4, 6e3}, "direct; jit", 4096, 73728},
        {"pool1", "pool", 0, {2e4, 2e4, 0}, {3e4, 3e4, 0}, "", 0, 18432},
        {"output", "dense", 5010, {4e4, 8e4, 1e4}, {5e4, 6e4, 7e4}, "gemm", 0, 160}};
    run.ops = {{"conv1/conv", "convolution", 0}, {"conv1/relu", "relu", 0}};
    run.buckets = {{20040, "output"}, {2080, "pool1 conv1"}};
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        const auto number = static_cast<std::int32_t>(rank);
        run.ranks.push_back({text("node", rank / 2), number % 2, "ÄMD Epyc", text("uuid-", rank), 2,
                             number * 1000, number > 0 ? 50 : 0});
    }
    return run;
}

Account sample_account(const RunDescription& description, std::int64_t iteration,
                       std::size_t rank) {
    Account account(description.extents());
    const auto rank_us = static_cast<float>(rank);
    account.start_ns = 1'000'000'000 + iteration * 1'000'000 + static_cast<std::int64_t>(rank) * 10;
    account.activity_time.fill(absent);
    if (iteration % 4 == 3) {
        account.iteration_time = 2500 + rank_us;
        return account;
    }
    float sum = 0.5F;
    for (std::size_t layer = 0; layer < description.layers.size(); ++layer) {
        for (const Phase phase : phases) {
            if (layer == pool1 && phase == Phase::update) {
                continue;
            }
            const std::size_t at = layer * phases.size() + index(phase);
            account.layer_time[at] = 100 * static_cast<float>(layer + 1) +
                                     10 * static_cast<float>(index(phase)) + rank_us +
                                     static_cast<float>(iteration) / 4;
            account.layer_start[at] =
                1000 * static_cast<float>(index(phase)) + 100 * static_cast<float>(layer);
            sum += account.layer_time[at];
        }
    }
    for (std::size_t at = 0; at < account.op_time.size(); ++at) {
        account.op_time[at] = account.layer_time[at % phases.size()] / 2;
    }
    for (std::size_t activity = 0; activity < activity_count; ++activity) {
        account.activity_time.at(activity) = 2 * static_cast<float>(activity + 1) + rank_us;
        sum += account.activity_time.at(activity);
    }
    account.unaccounted = 0.5F;
    account.iteration_time = sum;
    account.allreduce_hidden = 3 + rank_us;
    for (std::size_t bucket = 0; bucket < account.bucket_ready.size(); ++bucket) {
        const float ready = 2000 + 10 * static_cast<float>(bucket);
        account.bucket_ready[bucket] = ready;
        account.bucket_start[bucket] = ready + 1;
        account.bucket_transfer[bucket] = ready + 2;
        account.bucket_end[bucket] = ready + 5;
    }
    return account;
}

IterationMetrics sample_metrics(std::int64_t iteration, std::size_t rank) {
    const auto i = static_cast<float>(iteration);
    return {2 - i / 8 + static_cast<float>(rank), i / 128, i / 64};
}

IterationFacts sample_facts(std::int64_t iteration) {
    const auto epoch = static_cast<std::int32_t>(iteration / 4);
    return {iteration, epoch, std::ldexp(0.5F, -epoch), iteration < 2, iteration % 4 != 3};
}

RecordBlock sample_block(const RunDescription& description, std::int64_t first, std::size_t count) {
    const RecordLayout layout(description.extents());
    const std::size_t ranks = description.ranks.size();
    RecordBlock block;
    block.starts_ns.resize(ranks * count);
    block.rows.resize(ranks * count * layout.size);
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t iteration = first + static_cast<std::int64_t>(i);
        block.facts.push_back(sample_facts(iteration));
        for (std::size_t rank = 0; rank < ranks; ++rank) {
            const Account account = sample_account(description, iteration, rank);
            const std::size_t row = rank * count + i;
            block.starts_ns[row] = account.start_ns;
            pack(layout, account, sample_metrics(iteration, rank),
                 std::span(block.rows).subspan(row * layout.size, layout.size));
        }
    }
    return block;
}

}  // namespace layerledger::testing
