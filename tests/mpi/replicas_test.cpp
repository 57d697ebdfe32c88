#include "layerledger/train/replicas.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace layerledger {
namespace {

TEST(Replicas, EqualDigestsPass) {
    EXPECT_NO_THROW(require_equal_replicas(Communicator::world(), 99, 5));
}

TEST(Replicas, ADifferenceStopsAllRanksAndNamesTheOddOne) {
    const Communicator world = Communicator::world();
    if (world.size() < 3) {
        GTEST_SKIP() << "a majority needs three ranks";
    }
    const std::uint64_t digest = world.rank() == 2 ? 1 : 99;
    try {
        require_equal_replicas(world, digest, 5);
        ADD_FAILURE() << "nobody noticed";
    } catch (const AgreedError& error) {
        if (world.is_root()) {
            EXPECT_THAT(error.what(), testing::HasSubstr("after iteration 5 (rank 2 of 4"));
        }
    }
}

}  // namespace
}  // namespace layerledger
