// Who speaks for a job that cannot go on: whatever node is lost, someone is left who does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "layerledger/base/text.hpp"
#include "layerledger/comm/rank_map.hpp"

namespace layerledger {
namespace {

using testing::ElementsAre;

/// The node of each rank, node after node.
std::vector<std::string> cluster(int nodes, int ranks_per_node) {
    std::vector<std::string> of_ranks;
    for (int rank = 0; rank < nodes * ranks_per_node; ++rank) {
        of_ranks.push_back(text("n", rank / ranks_per_node));
    }
    return of_ranks;
}

TEST(Speakers, AreTheFirstRanksOfOneNode) {
    EXPECT_THAT(speakers_of(cluster(1, 1)), ElementsAre(0));
    EXPECT_THAT(speakers_of(cluster(1, 3)), ElementsAre(0, 1, 2));
    EXPECT_THAT(speakers_of(cluster(1, 8)), ElementsAre(0, 1, 2, 3));
}

TEST(Speakers, AreOnSeveralNodesWhereThereAreSeveral) {
    EXPECT_THAT(speakers_of(cluster(2, 8)), ElementsAre(0, 1, 2, 8));
    EXPECT_THAT(speakers_of(cluster(4, 8)), ElementsAre(0, 8, 16, 24));
}

TEST(Speakers, AreFewAndFarApartOnManyNodes) {
    EXPECT_THAT(speakers_of(cluster(16, 4)), ElementsAre(0, 16, 32, 48));
    EXPECT_THAT(speakers_of(cluster(6, 2)), ElementsAre(0, 2, 6, 8));
}

TEST(Speakers, AreFoundHoweverRanksLieOnNodes) {
    EXPECT_THAT(speakers_of({"a", "b", "a", "b", "a", "b"}), ElementsAre(0, 1, 2, 3));
}

TEST(Speakers, AreLeftWhereANodeIsLost) {
    for (int nodes = 2; nodes <= 40; ++nodes) {
        const std::vector<std::string> of_ranks = cluster(nodes, 8);
        std::set<std::string> theirs;
        for (const int speaker : speakers_of(of_ranks)) {
            theirs.insert(of_ranks[static_cast<std::size_t>(speaker)]);
        }
        EXPECT_GE(theirs.size(), 2U) << nodes;
    }
}

}  // namespace
}  // namespace layerledger
