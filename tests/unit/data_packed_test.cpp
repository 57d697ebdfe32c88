#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "data_fixture.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/data/packing.hpp"
#include "layerledger/hdf5/file.hpp"

namespace layerledger {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::numbers;
using testing::tiny;

class Packed : public testing::DataFolder {
protected:
    Packed() {
        options_.file = (root_ / "packed.h5").string();
        options_.size = 16;
    }
    PackResult pack() {
        return pack_images(scan_image_folder(settings_), settings_, options_,
                           [this](std::int64_t done, std::int64_t all) {
                               EXPECT_GT(done, done_);
                               EXPECT_LE(done, all);
                               done_ = done;
                           });
    }
    DataSettings reading() const {
        DataSettings settings = settings_;
        settings.source = DataSource::packed;
        settings.file = options_.file;
        return settings;
    }

    void expect_refusal(ExitCode code, const std::string& why) const {
        try {
            const ImageIndex index = read_packed_index(reading());
            ADD_FAILURE() << "accepted, expected: " << why;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), code) << error.what();
            EXPECT_THAT(error.what(), HasSubstr(why));
        }
    }

    PackOptions options_;
    std::int64_t done_ = 0;
};

// More images than go into one write, and not a multiple of them.
TEST_F(Packed, GivesTheSameBatchesAsTheFolder) {
    write_numbered("train", 23);
    write_numbered("val", 5);
    settings_.workers = 3;
    const PackResult result = pack();
    EXPECT_EQ(result.train, 23);
    EXPECT_EQ(result.val, 5);
    EXPECT_EQ(result.skipped, 0);
    EXPECT_EQ(done_, 28);
    EXPECT_FALSE(std::filesystem::exists(options_.file + ".part"));

    const ImageIndex folder = scan_image_folder(settings_);
    const ImageIndex packed = read_packed_index(reading());
    EXPECT_EQ(packed.classes, folder.classes);
    EXPECT_EQ(packed.digest(), folder.digest());
    const auto from_folder = make_image_source(folder, settings_, tiny, 4, {}, 1);
    const auto from_file = make_image_source(packed, reading(), tiny, 4, {}, 1);
    EXPECT_EQ(from_file->iterations_per_epoch(), 5);
    for (int i = 0; i < 12; ++i) {
        EXPECT_EQ(numbers(from_file->next()), numbers(from_folder->next()));
    }
    const auto validation = make_validation_source(packed, reading(), tiny, 5, {});
    EXPECT_THAT(numbers(validation->next()), ElementsAre(0, 2, 4, 1, 3));
}

TEST_F(Packed, KeepsColours) {
    std::vector<std::uint8_t> pixels;
    for (int i = 0; i < 64; ++i) {
        pixels.insert(pixels.end(), {200, 100, 50});
    }
    write("train/a/1.jpg", testing::encode_jpeg(pixels, 8, 8, TJPF_RGB));
    write("train/b/1.jpg", testing::uniform_jpeg(9));
    options_.size = 8;
    pack();
    const hdf5::File file =
        hdf5::File::open(options_.file, hdf5::Access::read, hdf5::Locking::unlocked);
    const auto stored = file.read<std::uint8_t>("train/images");
    ASSERT_EQ(stored.size(), 2U * 8 * 8 * 3);
    for (std::size_t i = 0; i < 64; ++i) {
        EXPECT_NEAR(stored[3 * i], 200, 2);
        EXPECT_NEAR(stored[3 * i + 1], 100, 2);
        EXPECT_NEAR(stored[3 * i + 2], 50, 2);
        EXPECT_EQ(stored[192 + 3 * i], 9);
    }
    EXPECT_THAT(file.read<std::int32_t>("train/labels"), ElementsAre(0, 1));
    EXPECT_THAT(file.read<std::string>("train/paths"),
                ElementsAre("train/a/1.jpg", "train/b/1.jpg"));
    EXPECT_THAT(file.read<std::string>("classes"), ElementsAre("a", "b"));
    EXPECT_FALSE(file.contains("val"));
}

TEST_F(Packed, TakesSomeOfItsClasses) {
    for (int i = 0; i < 3; ++i) {
        for (const char* name : {"a", "b", "c"}) {
            write("train/" + std::string(name) + "/" + std::to_string(i) + ".jpg",
                  testing::uniform_jpeg(static_cast<std::uint8_t>(10 * (name[0] - 'a'))));
        }
    }
    pack();
    DataSettings settings = reading();
    settings.classes = {"a", "c"};
    const ImageIndex index = read_packed_index(settings);
    EXPECT_THAT(index.classes, ElementsAre("a", "c"));
    const auto source = make_image_source(index, settings, tiny, 6, {}, 1);
    const HostBatch& batch = source->next();
    for (std::size_t i = 0; i < 6; ++i) {
        EXPECT_EQ(testing::grey_value(batch.images[i * 16]), batch.labels[i] == 0 ? 0 : 20);
    }
    settings.classes = {"a", "x"};
    EXPECT_THROW(read_packed_index(settings), Error);
}

TEST_F(Packed, LeavesUnreadableImagesOutOrStops) {
    write_numbered("train", 20);
    write(numbered("train", 3), testing::truncated_jpeg());
    write(numbered("train", 6), testing::png());
    EXPECT_THROW(pack(), Error);
    EXPECT_FALSE(std::filesystem::exists(options_.file));
    EXPECT_FALSE(std::filesystem::exists(options_.file + ".part"));
    settings_.on_error = OnError::skip;
    done_ = 0;
    const PackResult result = pack();
    EXPECT_EQ(result.train, 18);
    EXPECT_EQ(result.skipped, 2);
    const ImageIndex index = read_packed_index(reading());
    const auto source = make_image_source(index, reading(), tiny, 18, {}, 1);
    std::vector<int> found = numbers(source->next());
    std::sort(found.begin(), found.end());
    EXPECT_THAT(found, ElementsAre(0, 1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19));
}

TEST_F(Packed, DoesNotReplaceAFileUnasked) {
    write_numbered("train", 4);
    pack();
    EXPECT_THROW(pack(), Error);
    options_.overwrite = true;
    done_ = 0;
    EXPECT_EQ(pack().train, 4);
}

TEST_F(Packed, RefusesWhatIsNoPackedFile) {
    expect_refusal(ExitCode::input_missing, "no packed file");
    std::ofstream(options_.file) << "text";
    expect_refusal(ExitCode::bad_data, "not even HDF5");
    { const hdf5::File other = hdf5::File::create(options_.file); }
    expect_refusal(ExitCode::bad_data, "some other HDF5 file");
    {
        hdf5::File other = hdf5::File::create(options_.file);
        other.set_attribute("/", "format", "layerledger packed images");
        other.set_attribute("/", "format_version", std::int64_t{2});
    }
    expect_refusal(ExitCode::bad_data, "version");
    {
        hdf5::File other = hdf5::File::create(options_.file);
        other.set_attribute("/", "format", "layerledger packed images");
        other.set_attribute("/", "format_version", std::int64_t{1});
        other.create_dataset("classes", hdf5::Element::text, {0});
        other.create_group("train");
    }
    expect_refusal(ExitCode::bad_data, "damaged");
}

// As a copy that was broken off, or a disk that was full.
TEST_F(Packed, RefusesAFileThatIsCutShort) {
    write_numbered("train", 23);
    pack();
    const auto whole = std::filesystem::file_size(options_.file);
    for (const std::uintmax_t bytes : {whole - 1, whole / 2, whole / 10}) {
        std::filesystem::resize_file(options_.file, bytes);
        expect_refusal(ExitCode::bad_data, "'" + options_.file + "' (data.file) is damaged (");
        expect_refusal(ExitCode::bad_data, ") copy or pack it again");
    }
}

TEST_F(Packed, RefusesAFileWithoutClasses) {
    write_numbered("train", 4);
    pack();
    {
        hdf5::File file = hdf5::File::create(options_.file);
        file.set_attribute("/", "format", "layerledger packed images");
        file.set_attribute("/", "format_version", std::int64_t{1});
    }
    expect_refusal(ExitCode::bad_data, "(it does not name its classes) copy or pack it again");
}

TEST_F(Packed, RefusesANetworkOfLargerImages) {
    write_numbered("train", 4);
    pack();
    const ImageIndex index = read_packed_index(reading());
    try {
        const auto source = make_image_source(index, reading(), {1, 17, 17}, 1, {}, 1);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::configuration);
        EXPECT_THAT(error.what(), HasSubstr("holds 16 x 16"));
    }
}

}  // namespace
}  // namespace layerledger
