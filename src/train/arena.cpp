#include "layerledger/train/arena.hpp"

#include "layerledger/base/contract.hpp"

namespace layerledger {
namespace {

constexpr std::size_t alignment = 16;

std::size_t aligned(std::size_t floats) {
    return (floats + alignment - 1) / alignment * alignment;
}

}  // namespace

ArenaPlan plan_arena(const Network& network, std::span<const std::size_t> storage) {
    LL_EXPECT(storage.size() == network.parameters().size());
    ArenaPlan plan;
    plan.parameter_offsets.resize(storage.size());
    plan.layers.resize(network.layers().size());
    for (std::size_t i = network.layers().size(); i-- > 0;) {
        const std::size_t begin = plan.size;
        const std::span<const Op> ops = network.ops_of(network.layers()[i].id);
        for (std::size_t op = ops.size(); op-- > 0;) {
            for (const ParameterId parameter : ops[op].parameters) {
                plan.parameter_offsets[parameter.index()] = plan.size;
                plan.size += aligned(storage[parameter.index()]);
            }
        }
        plan.layers[i] = {begin, plan.size - begin};
    }
    return plan;
}

}  // namespace layerledger
