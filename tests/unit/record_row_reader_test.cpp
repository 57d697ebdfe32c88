#include "record/row_reader.hpp"

#include <gmock/gmock.h>

namespace layerledger {
namespace {

using ::testing::ElementsAre;

/// First row and number of rows of each slab.
std::vector<std::pair<std::uint64_t, std::uint64_t>> slabs_of(const Rows& rows,
                                                              std::uint64_t row_values,
                                                              std::uint64_t most_values,
                                                              std::uint64_t chunk) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> slabs;
    for_each_slab(rows, row_values, most_values, chunk,
                  [&](std::uint64_t first, const std::vector<std::uint64_t>& chosen) {
                      slabs.emplace_back(first, chosen.back() + 1);
                  });
    return slabs;
}

TEST(Slabs, HoldNoMoreThanIsAllowedHoweverManyRanksThereAre) {
    Rows rows{.first = 5, .count = 1000, .chosen = {}};
    for (std::uint32_t row = 0; row < 1000; row += 3) {
        rows.chosen.push_back(row);
    }
    for (const std::uint64_t row_values : {10U, 999U, 100'000U}) {
        std::vector<std::uint64_t> seen;
        for_each_slab(rows, row_values, 100'000, 8,
                      [&](std::uint64_t first, const std::vector<std::uint64_t>& chosen) {
                          EXPECT_LE((chosen.back() + 1) * row_values, 100'000);
                          for (const std::uint64_t row : chosen) {
                              seen.push_back(first + row - rows.first);
                          }
                      });
        EXPECT_THAT(seen, ::testing::ElementsAreArray(rows.chosen));
    }
}

TEST(Slabs, EndWhereChunksDoIfAChunkFits) {
    const Rows rows{.first = 3, .count = 9, .chosen = {0, 1, 2, 3, 4, 5, 6, 7, 8}};
    EXPECT_THAT(slabs_of(rows, 10, 79, 4),
                ElementsAre(std::pair(3, 5), std::pair(8, 4)));  // up to 8, 12
    EXPECT_THAT(slabs_of(rows, 10, 30, 4),
                ElementsAre(std::pair(3, 3), std::pair(6, 3), std::pair(9, 3)));
}

TEST(Slabs, AreOfARowAtLeastAndNoneWhereNothingIsChosen) {
    EXPECT_THAT(slabs_of({.first = 3, .count = 9, .chosen = {0, 8}}, 1000, 10, 4),
                ElementsAre(std::pair(3, 1), std::pair(11, 1)));
    EXPECT_THAT(slabs_of({}, 10, 100, 4), ElementsAre());
}

}  // namespace
}  // namespace layerledger
