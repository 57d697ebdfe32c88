#include "data/view.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <vector>

namespace layerledger {
namespace {

using ::testing::AllOf;
using ::testing::Field;

auto is_window(double left, double top, double width, double height) {
    using ::testing::DoubleEq;
    return AllOf(Field(&View::left, DoubleEq(left)), Field(&View::top, DoubleEq(top)),
                 Field(&View::width, DoubleEq(width)), Field(&View::height, DoubleEq(height)));
}

TEST(CentralView, HasTheProportionsOfTheNetworksImage) {
    EXPECT_THAT(central_view({500, 375}, {224, 224}, 1), is_window(62.5, 0, 375, 375));
    EXPECT_THAT(central_view({375, 500}, {224, 224}, 1), is_window(0, 62.5, 375, 375));
    EXPECT_THAT(central_view({300, 200}, {60, 20}, 1), is_window(0, 50, 300, 100));
}

// Resize(256) makes 500 x 375 341 x 256, CenterCrop(224) leaves 16 rows above and below: of the
// image as it was, 375 * 16 / 256.
TEST(CentralView, IsThatOfResizingAndCropping) {
    EXPECT_THAT(central_view({500, 375}, {224, 224}, 224.0 / 256),
                is_window(250 - 328.125 / 2, 375 * 16.0 / 256, 328.125, 328.125));
}

// Expected: RandomResizedCrop.get_params of torchvision 0.29 in Python, with these very numbers in
// place of its random ones.
TEST(RandomView, AgreesWithTorchvision) {
    const auto window = [](PixelExtent image, std::uint64_t seed, std::int64_t epoch,
                           std::uint32_t number) {
        ViewRandom random(seed, epoch, number);
        return random_view(image, 0.08, random);
    };
    EXPECT_THAT(window({500, 375}, 1, 0, 0), is_window(21, 0, 455, 347));
    EXPECT_THAT(window({500, 375}, 1, 0, 1), is_window(12, 4, 473, 361));
    EXPECT_THAT(window({500, 375}, 1, 1, 0), is_window(129, 38, 315, 270));
    EXPECT_THAT(window({375, 500}, 2, 3, 77), is_window(98, 21, 260, 327));
    EXPECT_THAT(window({256, 256}, 9, 8, 7), is_window(0, 22, 250, 217));
    EXPECT_THAT(window({40, 400}, 1, 0, 0), is_window(0, 166, 39, 40));
    EXPECT_THAT(window({400, 40}, 1, 0, 0), is_window(143, 0, 39, 40));
    EXPECT_THAT(window({300, 300}, 5, 5, 5), is_window(162, 38, 129, 168));
}

TEST(RandomView, FallsBackToTheMiddleWhereNothingFits) {
    ViewRandom random(1, 0, 0);
    EXPECT_THAT(random_view({400, 4}, 0.9, random), is_window(197, 0, 5, 4));
    EXPECT_THAT(random_view({4, 400}, 0.9, random), is_window(0, 197, 4, 5));
}

TEST(RandomView, CoversTheImageAndTheRangeOfAreas) {
    double area = 0;
    double log_ratio = 0;
    double centre = 0;
    constexpr int count = 20'000;
    for (std::uint32_t i = 0; i < count; ++i) {
        ViewRandom random(1, 0, i);
        const View window = random_view({1000, 1000}, 0.08, random);
        EXPECT_GE(window.left, 0);
        EXPECT_GE(window.top, 0);
        EXPECT_LE(window.left + window.width, 1000);
        EXPECT_LE(window.top + window.height, 1000);
        const double share = window.width * window.height / 1e6;
        EXPECT_GE(share, 0.079);
        area += share / count;
        log_ratio += std::log(window.width / window.height) / count;
        centre += (window.left + window.width / 2) / count;
    }
    // What torchvision's averages to. Less than (0.08 + 1) / 2: large ones are often too wide or
    // too high and drawn again.
    EXPECT_NEAR(area, 0.478, 0.01);
    EXPECT_NEAR(log_ratio, 0, 0.01);
    EXPECT_NEAR(centre, 500, 5);
}

class Views : public ::testing::Test {
protected:
    static constexpr PixelExtent image{500, 375};
    static constexpr PixelExtent to{224, 224};
    DataSettings settings_;
};

TEST_F(Views, DependOnSeedEpochAndImageAlone) {
    const ViewChooser views(settings_, to, 1);
    const auto left = [&](std::int64_t epoch, std::uint32_t number) {
        return views.choose(image, epoch, number).left;
    };
    EXPECT_EQ(left(3, 4), ViewChooser(settings_, to, 1).choose(image, 3, 4).left);
    EXPECT_NE(left(3, 4), left(3, 5));
    EXPECT_NE(left(3, 4), left(4, 4));
    EXPECT_NE(left(3, 4), ViewChooser(settings_, to, 2).choose(image, 3, 4).left);
}

TEST_F(Views, DoWhatTheSettingSays) {
    const auto count = [&](Augment augment) {
        settings_.augment = augment;
        const ViewChooser views(settings_, to, 1);
        std::pair<int, int> found;  // mirrored, not central
        for (std::uint32_t i = 0; i < 1000; ++i) {
            const View window = views.choose(image, 0, i);
            found.first += window.mirrored ? 1 : 0;
            found.second += window.width != 375 ? 1 : 0;
        }
        return found;
    };
    EXPECT_EQ(count(Augment::none), std::pair(0, 0));
    EXPECT_EQ(count(Augment::crop).first, 0);
    EXPECT_GT(count(Augment::crop).second, 950);
    EXPECT_NEAR(count(Augment::flip).first, 500, 50);
    EXPECT_EQ(count(Augment::flip).second, 0);
    EXPECT_NEAR(count(Augment::crop_flip).first, 500, 50);
    EXPECT_GT(count(Augment::crop_flip).second, 950);
}

TEST_F(Views, OfValidationAreCentral) {
    EXPECT_THAT(ViewChooser(settings_, to).choose(image, 0, 1),
                is_window(250 - 328.125 / 2, 375.0 / 16, 328.125, 328.125));
    settings_.augment = Augment::none;
    EXPECT_THAT(ViewChooser(settings_, to).choose(image, 0, 1), is_window(62.5, 0, 375, 375));
    settings_.central_share = 0.5;
    EXPECT_THAT(ViewChooser(settings_, to).choose(image, 0, 1),
                is_window(156.25, 93.75, 187.5, 187.5));
}

}  // namespace
}  // namespace layerledger
