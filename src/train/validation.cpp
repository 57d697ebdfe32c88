#include "layerledger/train/validation.hpp"

#include <chrono>
#include <vector>

#include "layerledger/base/contract.hpp"

namespace layerledger {

namespace {

void average_statistics(LayerOps& ops, const Communicator& world) {
    std::vector<float> state = ops.state();
    world.barrier();
    world.all_reduce_sum(state);
    for (float& value : state) {
        value /= static_cast<float>(world.size());
    }
    ops.set_state(state);
}

}  // namespace

Validation validate(const Network& network, LayerOps& ops, ValidationSource& source,
                    const Communicator& world) {
    const auto begun = std::chrono::steady_clock::now();
    average_statistics(ops, world);
    BatchMetrics sum;
    for (std::int64_t i = 0; i < source.batches(); ++i) {
        ops.load(source.next());
        for (const Layer& layer : network.layers()) {
            if (!layer.auxiliary) {
                ops.forward(layer.id, Mode::inference);
            }
        }
        const BatchMetrics batch = ops.metrics();
        sum.loss += batch.loss;
        sum.top1 += batch.top1;
        sum.topk += batch.topk;
        sum.images += batch.images;
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

}  // namespace layerledger
