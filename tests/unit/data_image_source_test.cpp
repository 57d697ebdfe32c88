#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <list>
#include <vector>

#include "data_fixture.hpp"
#include "layerledger/base/error.hpp"

namespace layerledger {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSubsetOf;
using ::testing::Not;
using testing::numbers;
using testing::tiny;
using ::testing::UnorderedElementsAreArray;

class FolderSource : public testing::DataFolder {
protected:
    std::unique_ptr<BatchSource> source(std::int64_t batch, Shard shard = {},
                                        std::uint64_t seed = 1) {
        const ImageIndex& index = indices_.emplace_back(scan_image_folder(settings_));
        return make_image_source(index, settings_, tiny, batch, shard, seed);
    }

    void expect_refusal(ExitCode code, const std::string& why, std::int64_t batch, Shard shard) {
        try {
            const auto made = source(batch, shard);
            ADD_FAILURE() << "accepted, expected: " << why;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), code);
            EXPECT_THAT(error.what(), HasSubstr(why));
        }
    }

    std::list<ImageIndex> indices_;  // they outlive the sources
};

std::vector<int> epoch(BatchSource& source) {
    std::vector<int> all;
    for (std::int64_t i = 0; i < source.iterations_per_epoch(); ++i) {
        const std::vector<int> batch = numbers(source.next());
        all.insert(all.end(), batch.begin(), batch.end());
    }
    return all;
}

std::vector<int> range(int count) {
    std::vector<int> all(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        all[static_cast<std::size_t>(i)] = i;
    }
    return all;
}

TEST_F(FolderSource, ShowsEachImageOnceAnEpochInANewOrder) {
    write_numbered("train", 24);
    const auto one = source(4);
    EXPECT_EQ(one->iterations_per_epoch(), 6);
    const std::vector<int> first = epoch(*one);
    const std::vector<int> second = epoch(*one);
    EXPECT_THAT(first, UnorderedElementsAreArray(range(24)));
    EXPECT_THAT(second, UnorderedElementsAreArray(range(24)));
    EXPECT_NE(first, range(24));
    EXPECT_NE(first, second);
}

TEST_F(FolderSource, LeavesTheIncompleteLastGlobalBatchOut) {
    write_numbered("train", 11);
    const auto one = source(4);
    EXPECT_EQ(one->iterations_per_epoch(), 2);
    const std::vector<int> images = epoch(*one);
    EXPECT_THAT(images, IsSubsetOf(range(11)));
    EXPECT_EQ(images.size(), 8U);
    EXPECT_EQ(source(4, {1, 2})->iterations_per_epoch(), 1);
}

TEST_F(FolderSource, DealsTheImagesOfOneRankOutToSeveral) {
    write_numbered("train", 24);
    for (const int ranks : {1, 2, 4}) {
        const auto whole = source(8);
        std::vector<std::unique_ptr<BatchSource>> parts;
        for (int rank = 0; rank < ranks; ++rank) {
            parts.push_back(source(8 / ranks, {rank, ranks}));
        }
        for (int iteration = 0; iteration < 7; ++iteration) {  // two epochs and one more
            std::vector<std::vector<int>> dealt;
            for (const auto& part : parts) {
                dealt.push_back(numbers(part->next()));
            }
            const std::vector<int> all = numbers(whole->next());
            for (std::size_t g = 0; g < all.size(); ++g) {
                EXPECT_EQ(dealt[g % parts.size()][g / parts.size()], all[g]);
            }
        }
    }
}

TEST_F(FolderSource, DependsOnTheSeedAndNotOnTheNumberOfThreads) {
    write_numbered("train", 24);
    const std::vector<int> one_thread = epoch(*source(4, {}, 5));
    settings_.workers = 4;
    EXPECT_EQ(epoch(*source(4, {}, 5)), one_thread);
    EXPECT_NE(epoch(*source(4, {}, 6)), one_thread);
}

// Three batches an epoch: within the first, at its end, in the second, and far ahead.
TEST_F(FolderSource, GoesOnFromWhereItIsSoughtTo) {
    write_numbered("train", 25);
    settings_.workers = 2;
    for (const std::int64_t start : {0, 1, 3, 4, 17}) {
        for (const Shard shard : {Shard{0, 2}, Shard{1, 2}}) {
            const auto whole = source(4, shard);
            ASSERT_EQ(whole->iterations_per_epoch(), 3);
            for (std::int64_t i = 0; i < start; ++i) {
                static_cast<void>(whole->next());
            }
            const auto sought = source(4, shard);
            static_cast<void>(sought->next());
            sought->seek(start);
            for (int i = 0; i < 5; ++i) {
                const HostBatch& expected = whole->next();
                const HostBatch& batch = sought->next();
                EXPECT_EQ(batch.images, expected.images);
                EXPECT_EQ(batch.labels, expected.labels);
            }
        }
    }
}

// Crops and flips included: N ranks with B images each see what one rank with N x B sees, whatever
// the number of threads and wherever training began.
TEST_F(FolderSource, AugmentsAnImageTheSameOnAnyRankAndThread) {
    std::vector<std::uint8_t> ramp;
    for (int i = 0; i < 32 * 32; ++i) {
        ramp.push_back(static_cast<std::uint8_t>(i % 32 * 5 + i / 32 * 3));
    }
    for (int i = 0; i < 8; ++i) {
        write(numbered("train", i), testing::encode_jpeg(ramp, 32, 32, TJPF_GRAY));
    }
    settings_.augment = Augment::crop_flip;
    const auto whole = source(8);
    settings_.workers = 3;
    const auto first = source(4, {0, 2});
    const auto second = source(4, {1, 2});
    first->seek(1);
    second->seek(1);
    const std::vector<float> earlier = whole->next().images;
    for (int epoch = 1; epoch < 4; ++epoch) {
        const std::vector<float>& all = whole->next().images;
        EXPECT_NE(all, earlier);
        const std::vector<float>& even = first->next().images;
        const std::vector<float>& odd = second->next().images;
        for (std::size_t g = 0; g < 8; ++g) {
            const std::vector<float>& part = g % 2 == 0 ? even : odd;
            EXPECT_TRUE(std::equal(all.begin() + static_cast<std::ptrdiff_t>(g * 16),
                                   all.begin() + static_cast<std::ptrdiff_t>((g + 1) * 16),
                                   part.begin() + static_cast<std::ptrdiff_t>(g / 2 * 16)))
                << "epoch " << epoch << ", image " << g;
        }
    }
}

// However far ahead the threads may run, and however many there are, batches come in order.
TEST_F(FolderSource, KeepsTheOrderOfBatchesAtAnyPrefetch) {
    write_numbered("train", 24);
    const std::vector<int> expected = epoch(*source(2));
    for (const std::int64_t prefetch : {1, 2, 7, 50}) {
        for (const std::int64_t workers : {1, 4}) {
            settings_.prefetch = prefetch;
            settings_.workers = workers;
            EXPECT_EQ(epoch(*source(2)), expected)
                << prefetch << " ahead, " << workers << " threads";
        }
    }
}

TEST_F(FolderSource, StopsAtAnUnreadableImage) {
    write_numbered("train", 6);
    for (const auto& file : {testing::truncated_jpeg(), testing::png(), testing::garbage()}) {
        write(numbered("train", 3), file);
        const auto one = source(6);
        try {
            static_cast<void>(one->next());
            ADD_FAILURE() << "accepted";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ExitCode::bad_data);
            EXPECT_THAT(error.what(), HasSubstr(numbered("train", 3)));
            EXPECT_THAT(error.what(), HasSubstr("data.on_error = skip"));
        }
    }
}

TEST_F(FolderSource, ReplacesAnUnreadableImageByTheNextOne) {
    write_numbered("train", 6);
    const std::vector<int> order = epoch(*source(6));
    settings_.on_error = OnError::skip;
    for (const auto& file : {testing::truncated_jpeg(), testing::png(), testing::garbage()}) {
        for (int bad = 0; bad < 6; ++bad) {
            write_numbered("train", 6);
            write(numbered("train", bad), file);
            std::vector<int> expected = order;
            const auto at = std::find(expected.begin(), expected.end(), bad);
            *at = at + 1 == expected.end() ? order.front() : *(at + 1);
            const auto one = source(6);
            EXPECT_EQ(epoch(*one), expected);
            EXPECT_EQ(one->skipped(), 1);
            EXPECT_THAT(epoch(*one), Not(::testing::Contains(bad)));
            EXPECT_EQ(one->skipped(), 2);
        }
    }
}

TEST_F(FolderSource, StopsWhereNoImageOfTheShardIsReadable) {
    for (int i = 0; i < 4; ++i) {
        write(numbered("train", i), testing::garbage());
    }
    settings_.on_error = OnError::skip;
    const auto one = source(2);
    try {
        static_cast<void>(one->next());
        ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::bad_data);
        EXPECT_THAT(error.what(), HasSubstr("nor can any other image of this rank"));
    }
}

TEST_F(FolderSource, RefusesMoreThanTheFolderHas) {
    write_numbered("train", 6);
    expect_refusal(ExitCode::configuration, "one global batch takes 8 images, there are 6", 4,
                   {0, 2});
    expect_refusal(ExitCode::configuration, "7 ranks cannot share 6 images", 1, {0, 7});
}

TEST_F(FolderSource, RefusesAnExtentThatNoJpegHas) {
    write_numbered("train", 6);
    const ImageIndex index = scan_image_folder(settings_);
    EXPECT_THROW(
        static_cast<void>(make_image_source(index, settings_, Shape{4, 2, 2}, 1, Shard{}, 1)),
        Error);
}

std::ptrdiff_t threads_of_this_process() {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
}

TEST_F(FolderSource, TakesItsThreadsWithIt) {
    write_numbered("train", 24);
    settings_.workers = 3;
    static_cast<void>(source(4)->next());
    const std::ptrdiff_t before = threads_of_this_process();
    for (int batches = 0; batches < 4; ++batches) {
        const auto one = source(4);
        EXPECT_EQ(threads_of_this_process(), before + 3);
        for (int i = 0; i < batches; ++i) {
            static_cast<void>(one->next());
        }
    }
    EXPECT_EQ(threads_of_this_process(), before);
}

class ValidationPass : public testing::DataFolder {
protected:
    std::unique_ptr<ValidationSource> source(std::int64_t batch, Shard shard = {}) {
        const ImageIndex& index = indices_.emplace_back(scan_image_folder(settings_));
        return make_validation_source(index, settings_, tiny, batch, shard);
    }

    std::list<ImageIndex> indices_;  // they outlive the sources
};

// In the order of the index, even numbers come first.
TEST_F(ValidationPass, ShowsEachImageOnceOverAllRanks) {
    write_numbered("train", 2);
    write_numbered("val", 7);
    const auto first = source(2, {0, 2});
    const auto second = source(2, {1, 2});
    ASSERT_EQ(first->batches(), 2);
    ASSERT_EQ(second->batches(), 2);
    EXPECT_THAT(numbers(first->next()), ElementsAre(0, 4));
    EXPECT_THAT(numbers(second->next()), ElementsAre(2, 6));
    EXPECT_THAT(numbers(first->next()), ElementsAre(1, 5));
    const HostBatch& last = second->next();
    EXPECT_THAT(numbers(last), ElementsAre(3));
    EXPECT_EQ(last.labels.size(), 2U);
    EXPECT_THAT(std::vector<float>(last.images.begin() + 16, last.images.end()), Each(0.0F));
    EXPECT_THROW(static_cast<void>(first->next()), Error);
}

TEST_F(ValidationPass, GivesARankWithoutImagesAnEmptyBatch) {
    write_numbered("train", 2);
    write_numbered("val", 2);
    const auto third = source(4, {2, 3});
    ASSERT_EQ(third->batches(), 1);
    EXPECT_EQ(third->next().valid, 0);
}

TEST_F(ValidationPass, IsEmptyWithoutAFolder) {
    write_numbered("train", 2);
    EXPECT_EQ(source(4)->batches(), 0);
}

TEST_F(ValidationPass, LeavesAnUnreadableImageOutOrStops) {
    write_numbered("train", 2);
    write_numbered("val", 5);
    write(numbered("val", 2), testing::truncated_jpeg());
    EXPECT_THROW(static_cast<void>(source(5)->next()), Error);
    settings_.on_error = OnError::skip;
    const auto one = source(5);
    EXPECT_THAT(numbers(one->next()), ElementsAre(0, 4, 1, 3));
    EXPECT_EQ(one->skipped(), 1);
}

}  // namespace
}  // namespace layerledger
