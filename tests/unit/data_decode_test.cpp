#include "data/image_loader.hpp"
#include "data/jpeg_decoder.hpp"
#include "data/resize.hpp"

#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <optional>
#include <utility>
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
                           PixelExtent to, std::optional<View> window = {},
                           const Scaling& scaling = {}) {
    std::vector<float> planes(static_cast<std::size_t>(to.width * to.height * channels));
    Resizer().resize({pixels.data(), from, channels},
                     window.value_or(View{0, 0, static_cast<double>(from.width),
                                          static_cast<double>(from.height)}),
                     scaling, planes, to);
    return planes;
}

/// The 7 x 6 image of (37 * y * y + 11 * x * y + 53 * x) % 256.
std::vector<std::uint8_t> sample_pixels() {
    std::vector<std::uint8_t> pixels;
    for (int y = 0; y < 6; ++y) {
        for (int x = 0; x < 7; ++x) {
            pixels.push_back(static_cast<std::uint8_t>((37 * y * y + 11 * x * y + 53 * x) % 256));
        }
    }
    return pixels;
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

// Expected: PIL 9.4, Image.fromarray(...).resize((5, 3), BILINEAR), which rounds twice.
TEST(Resizer, AgreesWithPil) {
    const std::vector<float> pil{57,  111, 163, 96, 89,  126, 153, 128,
                                 144, 107, 109, 98, 144, 143, 107};
    EXPECT_THAT(resized(sample_pixels(), {7, 6}, 1, {5, 3}), Pointwise(FloatNear(1.0F), pil));
}

// Expected: the same with resize(..., box=(left, top, right, bottom)).
TEST(Resizer, AgreesWithPilOnPartsOfAnImage) {
    EXPECT_THAT(resized(sample_pixels(), {7, 6}, 1, {4, 3}, View{1, 2, 4, 3}),
                Pointwise(FloatNear(1.0F), std::vector<float>{223, 42, 117, 192, 163, 249, 79, 165,
                                                              177, 18, 115, 212}));
    EXPECT_THAT(resized(sample_pixels(), {7, 6}, 1, {5, 4}, View{1.5, 0.25, 5, 2.5}),
                Pointwise(FloatNear(1.0F),
                          std::vector<float>{83,  137, 183, 108, 42,  116, 177, 150, 82,  103,
                                             133, 160, 140, 79,  107, 133, 87,  154, 100, 54}));
    EXPECT_THAT(resized(sample_pixels(), {7, 6}, 1, {2, 2}, View{0.5, 1, 6.25, 4.75}),
                Pointwise(FloatNear(1.0F), std::vector<float>{132, 117, 121, 134}));
}

TEST(Resizer, MirrorsAWindow) {
    const View window{1.5, 0.25, 5, 2.5, false};
    View mirrored = window;
    mirrored.mirrored = true;
    const std::vector<float> plain = resized(sample_pixels(), {7, 6}, 1, {5, 4}, window);
    const std::vector<float> other = resized(sample_pixels(), {7, 6}, 1, {5, 4}, mirrored);
    for (std::size_t i = 0; i < plain.size(); ++i) {
        EXPECT_FLOAT_EQ(other[i], plain[i / 5 * 5 + 4 - i % 5]) << i;
    }
}

TEST(Resizer, ScalesEachChannel) {
    EXPECT_THAT(resized({1, 2, 3}, {1, 1}, 3, {1, 1}, {}, {{1, 2, 3}, {10, 20, 30}}),
                ElementsAre(11, 24, 39));
}

/// Files are seen whole, as validation without crops sees them.
class Decode : public testing::DataFolder {
protected:
    std::vector<float> decode(const std::vector<std::uint8_t>& file, Shape extent) {
        write("image.jpg", file);
        return load("image.jpg", extent);
    }

    std::vector<float> load(const std::string& name, Shape extent) {
        DataSettings settings;
        settings.central_share = 1;
        const auto loader = make_jpeg_loader(
            root_.string(),
            {extent, ViewChooser(settings, pixels_of(extent)), imagenet_scaling(extent.channels)});
        std::vector<float> planes(static_cast<std::size_t>(extent.elements()));
        loader->load({name, 0, 0}, 0, 0, planes);
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
    std::vector<std::uint8_t> pixels(1024 * 1024);
    for (std::size_t i = 0; i < pixels.size(); ++i) {
        pixels[i] = i % 1024 < 512 ? 0 : 255;
    }
    const std::vector<float> planes =
        decode(testing::encode_jpeg(pixels, 1024, 1024, TJPF_GRAY), {1, 8, 8});
    for (std::size_t i = 0; i < planes.size(); ++i) {
        if (i % 8 < 3 || i % 8 > 4) {  // away from the border
            EXPECT_NEAR(testing::grey_value(planes[i]), i % 8 < 4 ? 0 : 255, 1) << i;
        }
    }
    EXPECT_EQ(testing::grey_value(planes[3]) + testing::grey_value(planes[4]), 255);
}

TEST_F(Decode, RefusesWhatIsNotAWholeJpegFile) {
    expect_refusal(testing::truncated_jpeg(), "Premature end");
    expect_refusal(testing::png(), "it is a PNG file");
    expect_refusal(testing::garbage(), "Not a JPEG file");
    expect_refusal({}, "empty");
}

TEST_F(Decode, RefusesAFileThatIsGoneOrNone) {
    std::filesystem::create_directory(root_ / "folder.jpg");
    for (const auto& [name, why] :
         {std::pair("gone.jpg", "No such file"), std::pair("folder.jpg", "it is not a file")}) {
        try {
            load(name, testing::tiny);
            ADD_FAILURE() << name;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ExitCode::bad_data);
            EXPECT_THAT(error.what(), HasSubstr(why));
        }
    }
}

class DecodePart : public testing::DataFolder {
protected:
    DecodePart() {
        for (int y = 0; y < height; ++y) {
            for (int x = 0; x < width; ++x) {
                pixels_.push_back(static_cast<std::uint8_t>(128 + 100 * std::sin(x / 9.0)));
                pixels_.push_back(static_cast<std::uint8_t>(128 + 100 * std::cos(y / 7.0)));
                pixels_.push_back(static_cast<std::uint8_t>((x + 2 * y) % 256));
            }
        }
    }
    static constexpr int width = 203;
    static constexpr int height = 151;
    std::vector<std::uint8_t> pixels_;
    JpegDecoder decoder_;
};

/// Pixels of the window alone: what is decoded around it may differ at its edges.
std::vector<std::uint8_t> inside(const JpegDecoder::Part& part) {
    std::vector<std::uint8_t> found;
    const auto top = static_cast<int>(part.window.top);
    const auto left = static_cast<int>(part.window.left);
    for (int y = top; y < top + static_cast<int>(part.window.height); ++y) {
        const std::uint8_t* row =
            part.view.pixels + (y * part.view.extent.width + left) * part.view.channels;
        found.insert(found.end(), row,
                     row + static_cast<int>(part.window.width) * part.view.channels);
    }
    return found;
}

std::vector<std::uint8_t> cut(const std::vector<std::uint8_t>& whole, int row_length, int left,
                              int top, int width, int height) {
    std::vector<std::uint8_t> found;
    for (int y = top; y < top + height; ++y) {
        const auto begin = whole.begin() + (y * row_length + left) * 3;
        found.insert(found.end(), begin, begin + width * 3);
    }
    return found;
}

// At every size of blocks, with colours at full and half resolution, in one scan or several.
TEST_F(DecodePart, HasThePixelsOfTheWhole) {
    for (const int subsampling : {TJSAMP_444, TJSAMP_420, TJSAMP_422}) {
        for (const int flags : {0, TJFLAG_PROGRESSIVE}) {
            write("image.jpg",
                  testing::encode_jpeg(pixels_, width, height, TJPF_RGB, subsampling, flags));
            const std::string path = (root_ / "image.jpg").string();
            ASSERT_EQ(decoder_.open(path).width, width);
            const std::vector<std::uint8_t> whole =
                inside(decoder_.decode({0, 0, width, height}, {width, height}, 3));
            ASSERT_EQ(whole.size(), pixels_.size());
            for (const auto& [left, top, w, h] :
                 {std::array{0, 0, 40, 30}, std::array{50, 60, 61, 43},
                  std::array{163, 121, 40, 30}, std::array{17, 0, 16, 151},
                  std::array{0, 33, 203, 9}}) {
                decoder_.open(path);
                const JpegDecoder::Part part =
                    decoder_.decode({static_cast<double>(left), static_cast<double>(top),
                                     static_cast<double>(w), static_cast<double>(h)},
                                    {w, h}, 3);
                EXPECT_EQ(inside(part), cut(whole, width, left, top, w, h))
                    << subsampling << " " << flags << ": " << left << ", " << top;
            }
        }
    }
}

TEST_F(DecodePart, ShrinksByPowersOfTwoNeverBelowWhatIsWanted) {
    write("image.jpg", testing::encode_jpeg(pixels_, width, height, TJPF_RGB));
    for (const auto& [to, shrink] : {std::pair(150, 1), std::pair(76, 1), std::pair(75, 2),
                                     std::pair(38, 2), std::pair(37, 4), std::pair(10, 8)}) {
        decoder_.open((root_ / "image.jpg").string());
        const JpegDecoder::Part part = decoder_.decode({0, 0, width, height}, {to, to}, 3);
        EXPECT_EQ(part.view.extent.width, (width + shrink - 1) / shrink) << to;
        EXPECT_DOUBLE_EQ(part.window.width, static_cast<double>(width) / shrink) << to;
    }
}

TEST_F(DecodePart, FindsDamageBehindIt) {
    std::vector<std::uint8_t> file = testing::encode_jpeg(pixels_, width, height, TJPF_RGB);
    file.resize(file.size() * 9 / 10);
    write("image.jpg", file);
    decoder_.open((root_ / "image.jpg").string());
    EXPECT_THROW(decoder_.decode({0, 0, 20, 20}, {20, 20}, 3), Error);
}

// One byte too many before the end: the library warns, the pixels are whole.
TEST_F(DecodePart, ToleratesWhatHarmsNoPixel) {
    std::vector<std::uint8_t> file = testing::encode_jpeg(pixels_, width, height, TJPF_RGB);
    file.insert(file.end() - 2, 0x12);
    write("image.jpg", file);
    decoder_.open((root_ / "image.jpg").string());
    EXPECT_NO_THROW(decoder_.decode({0, 0, width, height}, {width, height}, 3));
}

TEST_F(DecodePart, GoesOnAfterARefusal) {
    write("bad.jpg", testing::truncated_jpeg());
    write("good.jpg", testing::uniform_jpeg(77));
    for (int i = 0; i < 2; ++i) {
        EXPECT_THROW(
            {
                decoder_.open((root_ / "bad.jpg").string());
                decoder_.decode({0, 0, 64, 64}, {64, 64}, 1);
            },
            Error);
        decoder_.open((root_ / "good.jpg").string());
        EXPECT_EQ(decoder_.decode({0, 0, 16, 16}, {16, 16}, 1).view.pixels[100], 77);
    }
}

}  // namespace
}  // namespace layerledger
