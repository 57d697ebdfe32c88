#include "data/image_decoder.hpp"
#include "data/resize.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <vector>

#include "data_fixture.hpp"
#include "layerledger/base/error.hpp"

namespace layerledger {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

std::vector<float> resized(const std::vector<std::uint8_t>& pixels, PixelExtent from, int channels,
                           PixelExtent to) {
    std::vector<float> planes(static_cast<std::size_t>(to.width * to.height * channels));
    Resizer().resize(pixels, from, channels, planes, to);
    return planes;
}

TEST(Resizer, KeepsAnImageOfTheRightExtent) {
    EXPECT_THAT(resized({1, 2, 3, 4, 5, 6}, {3, 2}, 1, {3, 2}), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(Resizer, SplitsColoursIntoPlanes) {
    EXPECT_THAT(resized({1, 2, 3, 4, 5, 6}, {2, 1}, 3, {2, 1}), ElementsAre(1, 4, 2, 5, 3, 6));
}

// Centres of the 4 outputs in source coordinates: 0.25, 0.75, 1.25, 1.75; of the 2 pixels:
// 0.5, 1.5.
TEST(Resizer, InterpolatesBetweenPixelCentres) {
    EXPECT_THAT(resized({0, 100}, {2, 1}, 1, {4, 1}), ElementsAre(0, 25, 75, 100));
    EXPECT_THAT(resized({0, 100}, {1, 2}, 1, {1, 4}), ElementsAre(0, 25, 75, 100));
}

// The triangle reaches 2 pixels to either side of the centre 1.0: pixels 0.5 and 1.5 weigh 0.75,
// pixel 2.5 weighs 0.25. So (0.75 * 80 + 0.75 * 40 + 0.25 * 20) / 1.75.
TEST(Resizer, CountsEveryPixelWhereTheImageShrinks) {
    EXPECT_THAT(resized({80, 40, 20, 0}, {4, 1}, 1, {2, 1}),
                Pointwise(FloatNear(1e-4F), {95.0F / 1.75F, 25.0F / 1.75F}));
}

// Expected: PIL 9.4, Image.fromarray(...).resize((5, 3), BILINEAR) of the 7 x 6 image of
// (37 * y * y + 11 * x * y + 53 * x) % 256, which rounds to whole numbers twice.
TEST(Resizer, AgreesWithPil) {
    std::vector<std::uint8_t> pixels;
    for (int y = 0; y < 6; ++y) {
        for (int x = 0; x < 7; ++x) {
            pixels.push_back(static_cast<std::uint8_t>((37 * y * y + 11 * x * y + 53 * x) % 256));
        }
    }
    const std::vector<float> pil{57,  111, 163, 96, 89,  126, 153, 128,
                                 144, 107, 109, 98, 144, 143, 107};
    EXPECT_THAT(resized(pixels, {7, 6}, 1, {5, 3}), Pointwise(FloatNear(1.0F), pil));
}

class Decode : public testing::DataFolder {
protected:
    std::vector<float> decode(const std::vector<std::uint8_t>& file, Shape extent) {
        write("image.jpg", file);
        std::vector<float> planes(static_cast<std::size_t>(extent.elements()));
        decoder_.decode((root_ / "image.jpg").string(), extent, planes);
        return planes;
    }

    void expect_refusal(const std::vector<std::uint8_t>& file, const std::string& why) {
        try {
            decode(file, testing::tiny);
            ADD_FAILURE() << "accepted, expected: " << why;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ExitCode::bad_data);
            EXPECT_THAT(error.what(), HasSubstr((root_ / "image.jpg").string()));
            EXPECT_THAT(error.what(), HasSubstr(why));
        }
    }

    ImageDecoder decoder_;
};

// (v / 255 - mean) / deviation with ImageNet's 0.485, 0.456, 0.406 and 0.229, 0.224, 0.225.
TEST_F(Decode, NormalisesEachColour) {
    std::vector<std::uint8_t> pixels;
    for (int i = 0; i < 64; ++i) {
        pixels.insert(pixels.end(), {255, 255, 255});
    }
    const std::vector<float> white =
        decode(testing::encode_jpeg(pixels, 8, 8, TJPF_RGB), {3, 1, 1});
    EXPECT_THAT(white, Pointwise(FloatNear(1e-5F), {2.248908F, 2.428571F, 2.64F}));
}

TEST_F(Decode, KeepsColoursApart) {
    std::vector<std::uint8_t> pixels;
    for (int i = 0; i < 64; ++i) {
        pixels.insert(pixels.end(), {200, 100, 50});
    }
    const std::vector<float> colour =
        decode(testing::encode_jpeg(pixels, 8, 8, TJPF_RGB), {3, 1, 1});
    EXPECT_NEAR((colour[0] * 0.229F + 0.485F) * 255.0F, 200, 2);
    EXPECT_NEAR((colour[1] * 0.224F + 0.456F) * 255.0F, 100, 2);
    EXPECT_NEAR((colour[2] * 0.225F + 0.406F) * 255.0F, 50, 2);
}

TEST_F(Decode, NormalisesGreyByTheMeansOfTheColours) {
    const std::vector<float> grey = decode(testing::uniform_jpeg(100), {1, 1, 1});
    EXPECT_NEAR(grey[0], (100.0F / 255.0F - 0.449F) / 0.226F, 1e-5F);
}

TEST_F(Decode, TurnsGreyIntoThreeEqualColours) {
    const std::vector<float> planes = decode(testing::uniform_jpeg(100), {3, 1, 1});
    EXPECT_NEAR(planes[0] * 0.229F + 0.485F, 100.0F / 255.0F, 1e-5F);
    EXPECT_NEAR(planes[1] * 0.224F + 0.456F, 100.0F / 255.0F, 1e-5F);
    EXPECT_NEAR(planes[2] * 0.225F + 0.406F, 100.0F / 255.0F, 1e-5F);
}

TEST_F(Decode, TurnsColoursIntoLuma) {
    std::vector<std::uint8_t> pixels;
    for (int i = 0; i < 64; ++i) {
        pixels.insert(pixels.end(), {200, 100, 50});
    }
    const std::vector<float> grey = decode(testing::encode_jpeg(pixels, 8, 8, TJPF_RGB), {1, 1, 1});
    EXPECT_NEAR(testing::grey_value(grey[0]), 0.299 * 200 + 0.587 * 100 + 0.114 * 50, 1.5);
}

// Stored inverted, as always: (255, 128, 0) with 204 of 255 "no black" is (204, 102, 0).
TEST_F(Decode, TurnsCmykIntoColoursAndGrey) {
    std::vector<std::uint8_t> pixels;
    for (int i = 0; i < 64; ++i) {
        pixels.insert(pixels.end(), {255, 128, 0, 204});
    }
    const std::vector<std::uint8_t> file = testing::encode_jpeg(pixels, 8, 8, TJPF_CMYK);
    const std::vector<float> colour = decode(file, {3, 1, 1});
    EXPECT_NEAR((colour[0] * 0.229F + 0.485F) * 255.0F, 204, 2);
    EXPECT_NEAR((colour[1] * 0.224F + 0.456F) * 255.0F, 102, 2);
    EXPECT_NEAR((colour[2] * 0.225F + 0.406F) * 255.0F, 0, 2);
    EXPECT_NEAR(testing::grey_value(decode(file, {1, 1, 1})[0]), 0.299 * 204 + 0.587 * 102, 2);
}

// Left half black, right half white, 1024 wide: the scaled decoding must not move the border.
TEST_F(Decode, ShrinksALargeImageInPlace) {
    std::vector<std::uint8_t> pixels(1024 * 512);
    for (std::size_t i = 0; i < pixels.size(); ++i) {
        pixels[i] = i % 1024 < 512 ? 0 : 255;
    }
    const std::vector<float> planes =
        decode(testing::encode_jpeg(pixels, 1024, 512, TJPF_GRAY), {1, 2, 8});
    for (std::size_t i = 0; i < planes.size(); ++i) {
        if (i % 8 < 3 || i % 8 > 4) {  // away from the border
            EXPECT_NEAR(testing::grey_value(planes[i]), i % 8 < 4 ? 0 : 255, 1) << i;
        }
    }
    EXPECT_EQ(testing::grey_value(planes[3]) + testing::grey_value(planes[4]), 255);
}

TEST_F(Decode, RefusesWhatIsNotAWholeJpegFile) {
    expect_refusal(testing::truncated_jpeg(), "Premature end");
    expect_refusal(testing::png(), "Not a JPEG file");
    expect_refusal(testing::garbage(), "Not a JPEG file");
    expect_refusal({}, "empty");
}

TEST_F(Decode, StillDecodesAfterARefusal) {
    expect_refusal(testing::truncated_jpeg(), "Premature end");
    EXPECT_EQ(testing::grey_value(decode(testing::uniform_jpeg(77), {1, 1, 1})[0]), 77);
}

TEST_F(Decode, RefusesAFileThatIsGone) {
    std::vector<float> planes(16);
    try {
        decoder_.decode((root_ / "gone.jpg").string(), testing::tiny, planes);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::bad_data);
        EXPECT_THAT(error.what(), HasSubstr("No such file"));
    }
}

}  // namespace
}  // namespace layerledger
