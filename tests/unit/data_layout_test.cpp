// Layouts of image folders, lists of labels, and what is remembered of a folder.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "data/class_choice.hpp"
#include "data/folder_listing.hpp"
#include "data/staging_marker.hpp"
#include "data_fixture.hpp"
#include "layerledger/base/error.hpp"

namespace layerledger {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Layout : public testing::DataFolder {
protected:
    // A scan reads names, never contents.
    void touch(const std::string& path) const { write(path, {}); }
    void write_text(const std::string& path, const std::string& content) const {
        std::filesystem::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << content;
    }

    void write_flat(const std::string& below = "") const {
        for (const char* name : {"n01", "n02", "n03"}) {
            touch(below + "train/" + name + "/1.JPEG");
        }
        for (const char* name : {"val_1", "val_2", "val_3", "val_4"}) {
            touch(below + "val/" + name + ".JPEG");
        }
    }

    std::vector<std::string> validation() const {
        std::vector<std::string> found;
        for (const ImageIndex::Image& image : scan_image_folder(settings_).val) {
            found.push_back(image.path + " " + std::to_string(image.label));
        }
        return found;
    }

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

TEST_F(Layout, ReadsALabelInEachLine) {
    write_flat();
    const auto expected =
        ElementsAre("val/val_1.JPEG 2", "val/val_2.JPEG 0", "val/val_3.JPEG 2", "val/val_4.JPEG 1");
    write_text("val_labels.txt",
               "val_4.JPEG n02\nval_1.JPEG n03\r\nval_2.JPEG\tn01\nval_3.JPEG, n03\n\n");
    EXPECT_THAT(validation(), expected);
    write_text("val_labels.txt", "val_1.JPEG 2\nval_2.JPEG 0\nval_3.JPEG 2\nval_4.JPEG 1\n");
    EXPECT_THAT(validation(), expected);
    write_text("val_labels.txt", "n03\nn01\nn03\nn02\n");
    EXPECT_THAT(validation(), expected);
}

TEST_F(Layout, ReadsKagglesTree) {
    write_flat("ILSVRC/Data/CLS-LOC/");
    write_text("LOC_synset_mapping.txt", "n03 a third, thing\nn01 one\nn02 two\n");
    write_text("LOC_val_solution.csv",
               "ImageId,PredictionString\nval_2,n01 1 2 3 4 \nval_1,n03 1 2 3 4 n03 5 6 7 8 \n"
               "val_3,n03 1 2 3 4 \nval_4,n02 1 2 3 4 \n");
    const ImageIndex index = scan_image_folder(settings_);
    EXPECT_THAT(index.classes, ElementsAre("n01", "n02", "n03"));
    EXPECT_THAT(index.class_names, ElementsAre("one", "two", "a third, thing"));
    EXPECT_EQ(index.train.at(2).path, "ILSVRC/Data/CLS-LOC/train/n03/1.JPEG");
    EXPECT_EQ(validation().at(3), "ILSVRC/Data/CLS-LOC/val/val_4.JPEG 1");
}

TEST_F(Layout, LeavesValidationImagesOfOtherClassesOut) {
    write_flat();
    write_text("labels", "val_1.JPEG n03\nval_2.JPEG n01\nval_3.JPEG n03\nval_4.JPEG n02\n");
    settings_.val_labels = (root_ / "labels").string();
    settings_.classes = {"n01", "n03"};
    EXPECT_THAT(validation(),
                ElementsAre("val/val_1.JPEG 1", "val/val_2.JPEG 0", "val/val_3.JPEG 1"));
}

// train/ has two classes, the list speaks of three.
TEST_F(Layout, LeavesValidationImagesOfClassesThatAreNotHereOut) {
    write_flat();
    std::filesystem::remove_all(root_ / "train/n02");
    write_text("val_labels.txt", "val_1 n03\nval_2 n01\nval_3 n03\nval_4 n02\n");
    const auto expected = ElementsAre("val/val_1.JPEG 1", "val/val_2.JPEG 0", "val/val_3.JPEG 1");
    EXPECT_THAT(validation(), expected);
    write_text("val_labels.txt", "n03\nn01\nn03\nn02\n");
    EXPECT_THAT(validation(), expected);
    write_text("val_labels.txt", "n12\nn11\nn13\nn12\n");
    expect_error(ExitCode::bad_data, "a class that is trained ('n12' is one that it gives)");
}

// Numbers count the whole set's classes, not those that are here.
TEST_F(Layout, NumbersNeedTheWholeSet) {
    write_flat();
    write_text("val_labels.txt", "val_1.JPEG 2\nval_2.JPEG 0\nval_3.JPEG 2\nval_4.JPEG 1\n");
    std::filesystem::remove_all(root_ / "train/n02");
    expect_error(ExitCode::bad_data, "train/ has 2) name by data.class_names a file");
    const auto expected = ElementsAre("val/val_1.JPEG 1", "val/val_2.JPEG 0", "val/val_3.JPEG 1");
    settings_.class_names = (root_ / "names").string();
    write_text("names", "cats\ndogs\n");
    expect_error(ExitCode::bad_data, "names none of the classes");
    write_text("names", "n03 three\nn01\nn02 two\n");
    EXPECT_THAT(validation(), expected);
    settings_.class_names.clear();
    StagingMarker marker;
    marker.is_whole = true;
    marker.classes = {"n01", "n03"};
    marker.whole = {"n01", "n02", "n03"};
    write_marker(root_, marker);
    EXPECT_THAT(validation(), expected);
    write_text("val_labels.txt", "val_1 n03\nval_2 n01\nval_3 n30\nval_4 n02\n");
    expect_error(ExitCode::bad_data, "gives the label 'n30' (the set has no such class; did you");
    write_text("val_labels.txt", "val_1 3\nval_2 0\nval_3 0\nval_4 1\n");
    expect_error(ExitCode::bad_data, "gives the label '3' (numbers count");
}

TEST_F(Layout, ClassesWithNumbersForNames) {
    for (const char* name : {"3", "5"}) {
        touch(std::string("train/") + name + "/1.jpg");
    }
    for (const char* name : {"val/a.jpg", "val/b.jpg", "val/c.jpg"}) {
        touch(name);
    }
    write_text("val_labels.txt", "a.jpg 5\nb.jpg 3\nc.jpg 0\n");
    EXPECT_THAT(validation(), ElementsAre("val/a.jpg 1", "val/b.jpg 0"));
    write_text("val_labels.txt", "5\n0\n3\n");
    EXPECT_THAT(validation(), ElementsAre("val/a.jpg 1", "val/c.jpg 0"));
}

TEST_F(Layout, NamesWithBlanks) {
    for (const char* name : {"dining", "dining table", "sea lion"}) {
        touch(std::string("train/") + name + "/1.jpg");
    }
    touch("val/a b.jpg");
    touch("val/c, d.JPG");
    const auto expected = ElementsAre("val/a b.jpg 1", "val/c, d.JPG 2");
    write_text("val_labels.txt", "c, d.JPG,sea lion\na b.jpg dining table\n");
    EXPECT_THAT(validation(), expected);
    write_text("val_labels.txt", "dining table\nsea lion \n");
    EXPECT_THAT(validation(), expected);
    write_text("synset_words.txt", "dining table where one eats\nsea lion  \n");
    EXPECT_THAT(scan_image_folder(settings_).class_names, ElementsAre("", "where one eats", ""));
    const std::string file = (root_ / "chosen").string();
    settings_.classes = {file};
    write_text("chosen",
               "# the first two\n\n  dining table \n\t# more\nsea lion, an animal\nsea lion\n");
    expect_error(ExitCode::configuration, "chosen', line 5, names 'sea lion, an animal' ('" +
                                              (root_ / "train").string() + "' has no such class)");
    write_text("chosen", "# the first two\n\n  dining table \n\t# more\nsea lion an animal\n");
    EXPECT_THAT(scan_image_folder(settings_).classes, ElementsAre("dining table", "sea lion"));
    write_text("chosen", "sea lion\ndining\nsea lion an animal\n");
    expect_error(ExitCode::configuration, "chosen', line 3, names 'sea lion' a second time");
}

TEST_F(Layout, FoldersOfOtherClassesDoNotMatterWhereSomeAreChosen) {
    for (const char* name :
         {"train/cat/1.jpg", "train/dog/1.jpg", "val/cat/1.jpg", "val/fox/1.jpg"}) {
        touch(name);
    }
    expect_error(ExitCode::bad_data, "val/fox' is not a class of");
    settings_.classes = {"cat", "dog"};
    EXPECT_THAT(validation(), ElementsAre("val/cat/1.jpg 0"));
}

// As where a set is made of links into another, which has moved.
TEST_F(Layout, LinksToNowhereAreImagesThatCannotBeRead) {
    write_flat();
    write_text("val_labels.txt", "n03\nn01\nn03\nn02\n");
    std::filesystem::create_symlink("nowhere", root_ / "train/n01/2.JPEG");
    std::filesystem::create_symlink("1.JPEG", root_ / "train/n01/3.JPEG");
    std::filesystem::create_symlink(".", root_ / "train/n01/folder.JPEG");
    usleep(2'100'000);  // old enough to be remembered
    for (int i = 0; i < 2; ++i) {
        expect_error(ExitCode::bad_data, "1 image is a link to nowhere, '" +
                                             (root_ / "train/n01/2.JPEG").string() +
                                             "' (no such file");
        settings_.on_error = OnError::skip;
        EXPECT_EQ(scan_image_folder(settings_).train.size(), 5U);
        settings_.on_error = OnError::abort;
    }
    write("train/n01/nowhere", {});
    EXPECT_EQ(scan_image_folder(settings_).train.size(), 5U);
}

TEST_F(Layout, RefusesAListThatDoesNotMatch) {
    write_flat();
    expect_error(ExitCode::input_missing, "there is no list of their labels");
    write_text("val_labels.txt", "val_1.JPEG n03\n");
    expect_error(ExitCode::bad_data, "has 1 labels, val/ has 4 images");
    write_text("val_labels.txt", "val_1 n03\nval_2 n01\nval_3 n03\nother n02\n");
    expect_error(ExitCode::bad_data, "no label for val/val_4.JPEG");
    write_text("val_labels.txt", "1\n2\n3\n1\n");
    expect_error(ExitCode::bad_data, "ILSVRC development kit");
    settings_.val_labels = (root_ / "gone.txt").string();
    expect_error(ExitCode::input_missing, "gone.txt");
}

TEST_F(Layout, TakesClassesFromAFile) {
    for (const char* name : {"n01", "n02", "n03"}) {
        touch(std::string("train/") + name + "/1.jpg");
    }
    const std::string file = (root_ / "chosen.txt").string();
    settings_.classes = {file};
    write_text("chosen.txt", "n03 with a name\nn01\n\n");
    EXPECT_THAT(scan_image_folder(settings_).classes, ElementsAre("n01", "n03"));
    write_text("chosen.txt", "n03\nn09\n");
    expect_error(ExitCode::configuration, "chosen.txt', line 2, names 'n09' ('");
    write_text("chosen.txt", "n03\n");
    expect_error(ExitCode::configuration, "names 1 class (");
    settings_.classes = {file + "x"};
    expect_error(ExitCode::input_missing, "chosen.txtx");
}

TEST_F(Layout, HasADigestOfWhatTrainingSees) {
    write_flat();
    write_text("val_labels.txt", "n03\nn01\nn03\nn02\n");
    const std::string digest = scan_image_folder(settings_).digest();
    EXPECT_EQ(digest.size(), 16U);
    EXPECT_EQ(scan_image_folder(settings_).digest(), digest);
    write_text("val_labels.txt", "n03\nn02\nn03\nn02\n");
    EXPECT_NE(scan_image_folder(settings_).digest(), digest);
}

class Listing : public Layout {
protected:
    /// Makes folders old enough to be remembered: a file system's clock is coarse.
    static void settle() { usleep(2'100'000); }

    std::vector<std::string> list(const std::string& folder, int remembered) const {
        FolderListing listing(root_);
        std::vector<std::string> names = listing.images(folder);
        listing.save();
        EXPECT_EQ(listing.remembered(), remembered);
        return names;
    }
    [[nodiscard]] std::filesystem::path index_file() const {
        return root_ / FolderListing::file_name;
    }
};

TEST_F(Listing, RemembersAFolderUntilItChanges) {
    touch("a/1.jpg");
    touch("a/2.jpg");
    touch("b/1.jpg");
    // Too young: another file might come within the same tick of the clock.
    EXPECT_THAT(list("a", 0), ElementsAre("1.jpg", "2.jpg"));
    EXPECT_THAT(list("a", 0), ElementsAre("1.jpg", "2.jpg"));
    settle();
    EXPECT_THAT(list("a", 0), ElementsAre("1.jpg", "2.jpg"));
    EXPECT_THAT(list("a", 1), ElementsAre("1.jpg", "2.jpg"));
    EXPECT_THAT(list("b", 0), ElementsAre("1.jpg"));
    EXPECT_THAT(list("b", 1), ElementsAre("1.jpg"));
    EXPECT_THAT(list("a", 1), ElementsAre("1.jpg", "2.jpg"));

    touch("a/3.jpg");
    EXPECT_THAT(list("a", 0), ElementsAre("1.jpg", "2.jpg", "3.jpg"));
    std::filesystem::remove(root_ / "a/1.jpg");
    EXPECT_THAT(list("a", 0), ElementsAre("2.jpg", "3.jpg"));
    std::filesystem::rename(root_ / "a/3.jpg", root_ / "a/4.jpg");
    EXPECT_THAT(list("a", 0), ElementsAre("2.jpg", "4.jpg"));
    EXPECT_THAT(list("b", 1), ElementsAre("1.jpg"));
}

// As rsync and tar do, which set the date of a folder after they have filled it.
TEST_F(Listing, IsNotDeceivedByADateSetBack) {
    touch("a/1.jpg");
    settle();
    list("a", 0);
    struct stat before {};
    ASSERT_EQ(stat((root_ / "a").c_str(), &before), 0);
    touch("a/2.jpg");
    const timespec times[2] = {before.st_atim, before.st_mtim};
    ASSERT_EQ(utimensat(AT_FDCWD, (root_ / "a").c_str(), times, 0), 0);
    EXPECT_THAT(list("a", 0), ElementsAre("1.jpg", "2.jpg"));
}

TEST_F(Listing, IgnoresAnIndexThatIsNotWhole) {
    touch("a/1.jpg");
    settle();
    list("a", 0);
    std::ifstream in(index_file());
    const std::string whole{std::istreambuf_iterator<char>(in), {}};
    for (const std::string& content :
         {std::string(), std::string("nonsense"), whole.substr(0, whole.size() - 2),
          whole.substr(0, whole.find("1.jpg")), "x" + whole}) {
        std::ofstream(index_file()) << content;
        FolderListing listing(root_);
        EXPECT_THAT(listing.images("a"), ElementsAre("1.jpg"));
        EXPECT_EQ(listing.remembered(), 0) << content;
    }
}

TEST_F(Listing, DoesWithoutAPlaceToWrite) {
    touch("a/1.jpg");
    std::filesystem::create_directory(index_file());  // stops root as well
    settle();
    EXPECT_THAT(list("a", 0), ElementsAre("1.jpg"));
    EXPECT_THAT(list("a", 0), ElementsAre("1.jpg"));
}

}  // namespace
}  // namespace layerledger
