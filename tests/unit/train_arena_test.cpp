#include <gtest/gtest.h>

#include "layerledger/network/builder.hpp"
#include "layerledger/train/arena.hpp"
#include "train_networks.hpp"

namespace layerledger {
namespace {

TEST(Arena, LastLayerComesFirstAndEveryOffsetIsACacheLine) {
    const Network network = testing::two_layers();  // fc1: weight, bias; output: weight, bias
    const std::vector<std::size_t> storage{40, 10, 30, 3};
    const ArenaPlan plan = plan_arena(network, storage);
    EXPECT_EQ(plan.parameter_offsets, (std::vector<std::size_t>{48, 96, 0, 32}));
    EXPECT_EQ(plan.layers[1], (Slice{0, 48}));
    EXPECT_EQ(plan.layers[0], (Slice{48, 64}));
    EXPECT_EQ(plan.size, 112U);
}

}  // namespace
}  // namespace layerledger
