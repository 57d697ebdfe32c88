#include <gmock/gmock.h>

#include <algorithm>
#include <set>
#include <vector>

#include "layerledger/data/batch_source.hpp"

namespace layerledger {
namespace {

constexpr Shape image{3, 8, 8};
constexpr std::size_t pixels = 192;

std::vector<float> image_of(const HostBatch& batch, std::size_t place) {
    return {batch.images.begin() + static_cast<std::ptrdiff_t>(place * pixels),
            batch.images.begin() + static_cast<std::ptrdiff_t>((place + 1) * pixels)};
}

TEST(SyntheticSource, HasAboutNormalPixelsAndNeverZero) {
    const auto source = make_synthetic_source({3, 64, 64}, 10, 4, {}, 1, 1);
    const HostBatch& batch = source->next();
    double sum = 0;
    double squares = 0;
    for (const float value : batch.images) {
        ASSERT_NE(value, 0.0F);
        ASSERT_LT(std::abs(value), 3.5F);
        sum += value;
        squares += value * value;
    }
    const auto count = static_cast<double>(batch.images.size());
    ASSERT_EQ(batch.images.size(), 4U * 3U * 64U * 64U);
    EXPECT_NEAR(sum / count, 0.0, 0.01);  // 2 standard errors are 0.009
    EXPECT_NEAR(squares / count, 1.0, 0.02);
}

TEST(SyntheticSource, DrawsLabelsOfEveryClassAndNoOther) {
    const auto source = make_synthetic_source(image, 5, 200, {}, 1, 1);
    const HostBatch& batch = source->next();
    const std::set<std::int32_t> labels(batch.labels.begin(), batch.labels.end());
    EXPECT_THAT(labels, ::testing::ElementsAre(0, 1, 2, 3, 4));
    EXPECT_EQ(batch.valid, 200);
}

TEST(SyntheticSource, RepeatsItsPool) {
    const auto source = make_synthetic_source(image, 10, 2, {}, 1, 2);
    const std::vector<float> first = source->next().images;
    const std::vector<float> second = source->next().images;
    EXPECT_NE(first, second);
    EXPECT_EQ(source->next().images, first);
    EXPECT_EQ(source->iterations_per_epoch(), 0);
    EXPECT_EQ(source->skipped(), 0);
}

TEST(SyntheticSource, GoesOnFromWhereItIsSoughtTo) {
    for (std::int64_t start = 0; start < 5; ++start) {
        const auto whole = make_synthetic_source(image, 10, 2, {}, 1, 3);
        for (std::int64_t i = 0; i < start; ++i) {
            static_cast<void>(whole->next());
        }
        const auto sought = make_synthetic_source(image, 10, 2, {}, 1, 3);
        static_cast<void>(sought->next());
        sought->seek(start);
        for (int i = 0; i < 4; ++i) {
            const HostBatch& expected = whole->next();
            const HostBatch& batch = sought->next();
            EXPECT_EQ(batch.images, expected.images);
            EXPECT_EQ(batch.labels, expected.labels);
        }
    }
}

TEST(SyntheticSource, DependsOnItsSeedAlone) {
    const auto once = make_synthetic_source(image, 10, 2, {}, 7);
    const auto again = make_synthetic_source(image, 10, 2, {}, 7);
    const auto other = make_synthetic_source(image, 10, 2, {}, 8);
    const HostBatch& batch = once->next();
    const HostBatch& same = again->next();
    EXPECT_EQ(batch.images, same.images);
    EXPECT_EQ(batch.labels, same.labels);
    EXPECT_NE(batch.images, other->next().images);
}

TEST(SyntheticSource, DealsTheImagesOfOneRankOutToSeveral) {
    constexpr std::int64_t global = 8;
    for (const int ranks : {1, 2, 4}) {
        const auto whole = make_synthetic_source(image, 10, global, {}, 3);
        std::vector<std::unique_ptr<BatchSource>> parts;
        for (int rank = 0; rank < ranks; ++rank) {
            parts.push_back(make_synthetic_source(image, 10, global / ranks, {rank, ranks}, 3));
        }
        for (int iteration = 0; iteration < 3; ++iteration) {
            const HostBatch& all = whole->next();
            std::vector<const HostBatch*> batches;
            for (const auto& part : parts) {
                batches.push_back(&part->next());
            }
            for (std::size_t g = 0; g < global; ++g) {
                const HostBatch& part = *batches[g % batches.size()];
                EXPECT_EQ(image_of(part, g / batches.size()), image_of(all, g));
                EXPECT_EQ(part.labels[g / batches.size()], all.labels[g]);
            }
        }
    }
}

}  // namespace
}  // namespace layerledger
