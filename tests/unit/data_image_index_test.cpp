#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "data_fixture.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/data/image_check.hpp"

namespace layerledger {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ImageIndexScan : public testing::DataFolder {
protected:
    // A scan reads names, never contents.
    void touch(const std::string& path) const { write(path, {}); }

    void expect_error(ExitCode code, const std::string& part_of_message) const {
        try {
            const ImageIndex index = scan_image_folder(settings_);
            FAIL() << "accepted, expected: " << part_of_message;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), code) << error.what();
            EXPECT_THAT(error.what(), HasSubstr(part_of_message));
        }
    }
};

std::vector<std::string> paths(const std::vector<ImageIndex::Image>& images) {
    std::vector<std::string> out;
    for (const ImageIndex::Image& image : images) {
        out.push_back(image.path + " " + std::to_string(image.label));
    }
    return out;
}

TEST_F(ImageIndexScan, LabelsTheSortedClassFoldersAndSortsTheirImages) {
    touch("train/n02/b.JPEG");
    touch("train/n02/a.jpg");
    touch("train/n01/z.Jpeg");
    touch("train/n01/notes.txt");
    touch("train/n01/.hidden.jpg");
    touch("train/readme.jpg");
    touch("val/n02/v.jpg");
    const ImageIndex index = scan_image_folder(settings_);
    EXPECT_EQ(index.root, settings_.root);
    EXPECT_THAT(index.classes, ElementsAre("n01", "n02"));
    EXPECT_THAT(paths(index.train),
                ElementsAre("train/n01/z.Jpeg 0", "train/n02/a.jpg 1", "train/n02/b.JPEG 1"));
    EXPECT_THAT(paths(index.val), ElementsAre("val/n02/v.jpg 1"));
}

TEST_F(ImageIndexScan, DoesNotNeedAValidationFolder) {
    touch("train/a/1.jpg");
    touch("train/b/1.jpg");
    EXPECT_TRUE(scan_image_folder(settings_).val.empty());
}

TEST_F(ImageIndexScan, TakesTheFirstClassesOfACount) {
    for (const char* name : {"a", "b", "c"}) {
        touch(std::string("train/") + name + "/1.jpg");
        touch(std::string("val/") + name + "/1.jpg");
    }
    settings_.classes = {"2"};
    const ImageIndex index = scan_image_folder(settings_);
    EXPECT_THAT(index.classes, ElementsAre("a", "b"));
    EXPECT_THAT(paths(index.val), ElementsAre("val/a/1.jpg 0", "val/b/1.jpg 1"));
}

TEST_F(ImageIndexScan, TakesNamedClassesInSortedOrder) {
    for (const char* name : {"a", "b", "c"}) {
        touch(std::string("train/") + name + "/1.jpg");
    }
    settings_.classes = {"c", "a"};
    EXPECT_THAT(paths(scan_image_folder(settings_).train),
                ElementsAre("train/a/1.jpg 0", "train/c/1.jpg 1"));
}

TEST_F(ImageIndexScan, RefusesClassesThatAreNotThere) {
    touch("train/apple/1.jpg");
    touch("train/banana/1.jpg");
    settings_.classes = {"apple", "bananna"};
    expect_error(ExitCode::configuration, "did you mean 'banana'?");
    settings_.classes = {"3"};
    expect_error(ExitCode::configuration, "give 2 to 2");
    settings_.classes = {"1"};
    expect_error(ExitCode::configuration, "out of range");
    settings_.classes = {"apple"};
    expect_error(ExitCode::configuration, "names one class");
    settings_.classes = {"apple", "apple"};
    expect_error(ExitCode::configuration, "names 'apple' a second time (each class counts once)");
}

TEST_F(ImageIndexScan, MissesTheRootAndItsTrainFolder) {
    expect_error(ExitCode::input_missing, "/train'");
    settings_.root += "/nowhere";
    expect_error(ExitCode::input_missing, "no data folder");
    settings_.root.clear();
    expect_error(ExitCode::configuration, "data.root is not set");
}

TEST_F(ImageIndexScan, RefusesAnEmptyFolder) {
    std::filesystem::create_directories(root_ / "train");
    expect_error(ExitCode::bad_data, "no classes");
}

TEST_F(ImageIndexScan, RefusesOneClass) {
    touch("train/only/1.jpg");
    expect_error(ExitCode::bad_data, "one class only, 'only'");
}

TEST_F(ImageIndexScan, RefusesAClassWithoutImages) {
    touch("train/a/1.jpg");
    touch("train/b/1.png");
    touch("train/c/1.jpg");
    expect_error(ExitCode::bad_data, "class 'b' has no images");
    settings_.classes = {"a", "c"};
    EXPECT_EQ(scan_image_folder(settings_).train.size(), 2U);
}

TEST_F(ImageIndexScan, RefusesAValidationFolderOfOtherClassesOrNone) {
    touch("train/cat/1.jpg");
    touch("train/dog/1.jpg");
    std::filesystem::create_directories(root_ / "val");
    expect_error(ExitCode::bad_data, "val' has no images");
    touch("val/flat.jpg");
    expect_error(ExitCode::input_missing, "no list of their labels");
    touch("val/dgo/1.jpg");
    expect_error(ExitCode::bad_data, "did you mean 'dog'?");
}

TEST_F(ImageIndexScan, SurvivesTheWayToAnotherRank) {
    touch("train/a b/1 \n 2.jpg");
    touch("train/c/1.jpg");
    touch("val/c/1.jpg");
    const ImageIndex index = scan_image_folder(settings_);
    const std::string text = index.serialize();
    const ImageIndex copy = ImageIndex::deserialize(text);
    EXPECT_EQ(copy.root, index.root);
    EXPECT_EQ(copy.classes, index.classes);
    EXPECT_EQ(paths(copy.train), paths(index.train));
    EXPECT_EQ(paths(copy.val), paths(index.val));
    EXPECT_THROW(static_cast<void>(ImageIndex::deserialize(text.substr(0, text.size() - 3))),
                 Error);
}

TEST_F(ImageIndexScan, ListsEachImageInALineOfItsOwn) {
    const std::string file = (root_ / "list.tsv").string();
    write_image_list({{"train/a/1\t2\n3\\n.jpg", 1, 0}, {"train/b c/ä.jpg", 0, 0}}, file);
    std::ifstream in(file);
    const std::string content{std::istreambuf_iterator<char>(in), {}};
    EXPECT_EQ(content, "train/a/1\\t2\\n3\\\\n.jpg\t1\ntrain/b c/ä.jpg\t0\n");
}

TEST_F(ImageIndexScan, LooksAtTheBeginningOfEveryValidationImage) {
    ImageIndex index;
    index.root = settings_.root;
    for (int i = 0; i < 101; ++i) {
        const std::string path = "val/" + std::to_string(i) + ".jpg";
        write(path, {0xFF, 0xD8, 0xFF, 0xE0});
        index.val.push_back({path, 0, 0});
    }
    EXPECT_EQ(require_readable_validation(index, {0, 2}), 51U);
    EXPECT_EQ(require_readable_validation(index, {1, 2}), 50U);
    EXPECT_EQ(require_readable_validation({}, {0, 1}), 0U);
    EXPECT_EQ(require_readable_validation(index, {0, 1}, std::chrono::milliseconds(0)), 0U);
    // Whichever it is, one of the two ranks meets it.
    for (const int odd : {0, 1, 49, 50, 99, 100}) {
        const std::string path = index.val[static_cast<std::size_t>(odd)].path;
        write(path, testing::png());
        EXPECT_EQ(require_readable_validation(index, {1 - odd % 2, 2}), odd % 2 == 0 ? 50U : 51U);
        EXPECT_THROW(static_cast<void>(require_readable_validation(index, {odd % 2, 2})), Error);
        write(path, {0xFF, 0xD8, 0xFF, 0xE0});
    }
}

}  // namespace
}  // namespace layerledger
