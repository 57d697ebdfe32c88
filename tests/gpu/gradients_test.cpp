// Gradients summed over ranks: through NCCL, through MPI and, rank by rank, without either. Where
// there is no GPU what needs one skips.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "layerledger/backend/cpu.hpp"
#include "layerledger/backend/cuda.hpp"
#include "layerledger/base/fnv1a.hpp"
#include "layerledger/data/batch_source.hpp"
#include "layerledger/network/zoo.hpp"
#include "layerledger/train/trainer.hpp"

namespace layerledger {
namespace {

class NoReports final : public IterationObserver {
public:
    void iteration_finished(const IterationReport& report) override { loss = report.metrics.loss; }
    double loss = 0;
};

struct Trained {
    std::vector<float> gradients;  // of the last iteration, as the update found them
    std::vector<float> parameters;
};

/// `shard`: which images of all this rank's batches are.
Trained train(Backend& backend, Collective& collective, const Communicator& world, Shard shard,
              std::int64_t iterations) {
    const Network network = make_network("lenet5", {.classes = 10});
    const auto source = make_synthetic_source(network.input(), network.classes(), 16, shard, 5);
    TrainerOptions options;
    options.iterations = iterations;
    options.bucket_floats = 20'000;  // several buckets
    options.learning_rate.base = 0.01;
    options.optimizer.gradient_scale = 1.0F / static_cast<float>(world.size());
    options.compile.batch = 16;
    Trainer trainer(network, backend, collective, world, *source, options);
    NoReports observer;
    trainer.run(observer);
    EXPECT_TRUE(std::isfinite(observer.loss));
    Trained result;
    const auto append = [](std::vector<float>& all, const std::vector<float>& more) {
        all.insert(all.end(), more.begin(), more.end());
    };
    for (const Parameter& parameter : network.parameters()) {
        std::vector<float> values(static_cast<std::size_t>(parameter.elements()));
        trainer.ops().export_gradient(parameter.id, values);
        append(result.gradients, values);
        trainer.ops().export_parameter(parameter.id, values);
        append(result.parameters, values);
    }
    return result;
}

/// |a - b| / |b|
double distance(const std::vector<float>& a, const std::vector<float>& b) {
    EXPECT_EQ(a.size(), b.size());
    double difference = 0;
    double norm = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
        norm += std::pow(static_cast<double>(b[i]), 2);
    }
    EXPECT_GT(norm, 0);
    return std::sqrt(difference / norm);
}

constexpr double rounding = 1e-6;

class GradientsOfRanks : public testing::Test {
protected:
    Communicator world_ = Communicator::world();
    const Shard mine_{world_.rank(), world_.size()};
    RankMap rank_ = map_rank(world_);

    std::unique_ptr<Backend> gpu() const {
        return cuda::make_backend(
            {.sharers = cuda::count_sharers(world_, rank_, true), .deterministic = true}, rank_);
    }
    std::unique_ptr<Collective> on_gpu(Backend& backend, cuda::CollectiveKind kind) const {
        return cuda::make_collective(backend, rank_, world_, {.kind = kind});
    }

    /// What a rank alone would have, added up here.
    std::vector<float> sum_of_each(
        Backend& backend,
        const std::function<std::unique_ptr<Collective>(Backend&, const Communicator&)>& collective)
        const {
        const Communicator alone;
        const auto none = collective(backend, alone);
        std::vector<float> gradients = train(backend, *none, alone, mine_, 1).gradients;
        world_.all_reduce_sum(gradients);
        return gradients;
    }

    void expect_equal_on_all_ranks(const std::vector<float>& values) const {
        Fnv1a digest;
        for (const float value : values) {
            digest.add(std::uint64_t{std::bit_cast<std::uint32_t>(value)});
        }
        EXPECT_TRUE(world_.is_same_on_all_ranks(digest.value()));
    }
};

TEST_F(GradientsOfRanks, OnCpusMpiSumsThoseOfEachRank) {
    const auto backend = cpu::make_backend({.threads = 1}, rank_);
    const auto collective = cpu::make_collective(world_, {});
    const Trained together = train(*backend, *collective, world_, mine_, 1);
    const std::vector<float> each = sum_of_each(*backend, [](Backend&, const Communicator& alone) {
        return cpu::make_collective(alone, {});
    });
    EXPECT_LT(distance(together.gradients, each), rounding);
    expect_equal_on_all_ranks(train(*backend, *collective, world_, mine_, 12).parameters);
}

TEST_F(GradientsOfRanks, NcclSumsThoseOfEachRankAsMpiDoes) {
    if (const std::string why = cuda::why_unavailable(); !why.empty()) {
        GTEST_SKIP() << why;
    }
    const auto backend = gpu();
    const auto nccl = on_gpu(*backend, cuda::CollectiveKind::nccl);
    const auto mpi = on_gpu(*backend, cuda::CollectiveKind::mpi);
    const Trained through_nccl = train(*backend, *nccl, world_, mine_, 1);
    const Trained through_mpi = train(*backend, *mpi, world_, mine_, 1);
    const std::vector<float> each =
        sum_of_each(*backend, [&](Backend& device, const Communicator& alone) {
            return cuda::make_collective(device, rank_, alone, {});
        });
    EXPECT_LT(distance(through_nccl.gradients, through_mpi.gradients), rounding);
    EXPECT_LT(distance(through_nccl.gradients, each), rounding);
    EXPECT_LT(distance(through_nccl.parameters, through_mpi.parameters), rounding);
    expect_equal_on_all_ranks(train(*backend, *nccl, world_, mine_, 12).parameters);
}

}  // namespace
}  // namespace layerledger
