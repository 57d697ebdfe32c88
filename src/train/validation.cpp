#include "layerledger/train/validation.hpp"

#include <chrono>
#include <exception>
#include <vector>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {

namespace {

/// The ranks' mean statistics take the place of this rank's own for as long as this lives.
class SharedStatistics {
public:
    SharedStatistics(LayerOps& ops, const Communicator& world) : ops_(ops), own_(ops.state()) {
        std::vector<float> mean = own_;
        world.barrier();
        world.all_reduce_sum(mean);
        for (float& value : mean) {
            value /= static_cast<float>(world.size());
        }
        ops.set_state(mean);
    }
    SharedStatistics(const SharedStatistics&) = delete;
    SharedStatistics& operator=(const SharedStatistics&) = delete;
    ~SharedStatistics() {
        try {
            ops_.set_state(own_);
        } catch (const std::exception& error) {
            log::error(text("running statistics are lost (", error.what(), ")"));
        }
    }

private:
    LayerOps& ops_;
    std::vector<float> own_;
};

}  // namespace

std::optional<Validation> validate(const Network& network, LayerOps& ops, ValidationSource& source,
                                   const Communicator& world,
                                   const std::function<bool()>& is_to_end) {
    const auto begun = std::chrono::steady_clock::now();
    const SharedStatistics shared(ops, world);
    BatchMetrics sum;
    std::exception_ptr failure;
    std::int64_t ended_early = 0;
    try {
        for (std::int64_t i = 0; i < source.batches(); ++i) {
            if (is_to_end()) {
                ended_early = 1;
                break;
            }
            ops.load(source.next());
            for (const Layer& layer : network.layers()) {
                if (!layer.auxiliary) {
                    ops.forward(layer.id, Mode::inference);
                }
            }
            ops.send_metrics(0);
            const BatchMetrics batch = ops.metrics(0);
            sum.loss += batch.loss;
            sum.top1 += batch.top1;
            sum.topk += batch.topk;
            sum.images += batch.images;
        }
    } catch (const std::exception&) {
        failure = std::current_exception();
    }
    // A rank that fails at its first image waits for the others' whole pass, which takes longer
    // than an iteration.
    world.barrier(setup_deadline, "the validation of the other ranks");
    world.agree([&] {
        if (failure) {
            std::rethrow_exception(failure);
        }
    });
    if (world.all_reduce_sum(ended_early) > 0) {
        return {};
    }
    const std::int64_t images = world.all_reduce_sum(sum.images);
    world.agree([&] {
        LL_VALIDATE(images > 0, ExitCode::bad_data,
                    "no validation image could be read; check the val/ folder in data.root");
    });
    const auto mean = [&](double value) {
        return world.all_reduce_sum(value) / static_cast<double>(images);
    };
    Validation validation;
    validation.images = images;
    validation.loss = mean(sum.loss);
    validation.top1 = mean(static_cast<double>(sum.top1));
    validation.topk = mean(static_cast<double>(sum.topk));
    validation.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    return validation;
}

Validation validate(const Network& network, LayerOps& ops, ValidationSource& source,
                    const Communicator& world) {
    return validate(network, ops, source, world, [] { return false; }).value();
}

std::vector<float> mean_statistics(const std::vector<std::vector<float>>& ranks) {
    std::vector<float> mean(ranks.empty() ? 0 : ranks.front().size(), 0.0F);
    for (const std::vector<float>& rank : ranks) {
        LL_EXPECT(rank.size() == mean.size());
        for (std::size_t i = 0; i < mean.size(); ++i) {
            mean[i] += rank[i];
        }
    }
    for (float& value : mean) {
        value /= static_cast<float>(ranks.size());
    }
    return mean;
}

}  // namespace layerledger
