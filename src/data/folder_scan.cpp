// What is in a folder of images, in one of the layouts in which people have them.
#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "class_choice.hpp"
#include "folder_listing.hpp"
#include "label_list.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/data/image_index.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kaggle_data = "ILSVRC/Data/CLS-LOC/";

/// Names under which lists are looked for in the root.
constexpr std::initializer_list<const char*> label_lists{
    "LOC_val_solution.csv", "val_labels.txt", "val.txt",
    "imagenet_2012_validation_synset_labels.txt"};
constexpr std::initializer_list<const char*> name_lists{"LOC_synset_mapping.txt",
                                                        "synset_words.txt"};

std::vector<std::string> class_folders(const fs::path& folder) {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
        if (entry.is_directory() && !entry.path().filename().native().starts_with('.')) {
            names.push_back(entry.path().filename().native());
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

/// The file that a setting names, else the first of the usual ones that is there, else empty.
std::string list_file(const fs::path& root, const std::string& setting,
                      std::initializer_list<const char*> usual) {
    if (!setting.empty()) {
        return setting;
    }
    for (const char* name : usual) {
        if (fs::is_regular_file(root / name)) {
            return (root / name).native();
        }
    }
    return {};
}

class Scan {
public:
    explicit Scan(const DataSettings& settings)
        : settings_(settings), root_(settings.root), listing_(root_) {
        if (!fs::is_directory(root_ / "train") && fs::is_directory(root_ / kaggle_data / "train")) {
            below_ = kaggle_data;
        }
    }

    ImageIndex run() {
        const fs::path train = root_ / below_ / "train";
        LL_VALIDATE(fs::is_directory(train), ExitCode::input_missing,
                    text("no folder '", train.native(),
                         "' (data.root holds train/ and, optionally, val/, or the tree of the "
                         "Kaggle challenge)"));
        all_classes_ = class_folders(train);
        LL_VALIDATE(!all_classes_.empty(), ExitCode::bad_data,
                    text("'", train.native(), "' has no classes (no folders in it) put the images ",
                         "into one folder a class"));
        LL_VALIDATE(all_classes_.size() >= 2, ExitCode::bad_data,
                    text("'", train.native(), "' has one class only, '", all_classes_[0],
                         "' (at least two are needed)"));
        index_.root = settings_.root;
        index_.classes = choose_classes(all_classes_, settings_.classes, "the folder");
        list_training();
        if (fs::is_directory(root_ / below_ / "val")) {
            list_validation();
        }
        name_classes();
        listing_.save();
        if (listing_.remembered() > 0) {
            log::info(text("took the names of files in ", listing_.remembered(), " folders from '",
                           (root_ / FolderListing::file_name).native(), "'"));
        }
        return std::move(index_);
    }

private:
    /// The images of one class; how many.
    std::size_t list_class(const std::string& part, std::size_t label,
                           std::vector<ImageIndex::Image>& images) {
        const std::string folder = text(below_, part, "/", index_.classes[label]);
        const std::vector<std::string>& names = listing_.images(folder);
        for (const std::string& name : names) {
            images.push_back({folder + "/" + name, static_cast<std::int32_t>(label)});
        }
        return names.size();
    }

    void list_training() {
        for (std::size_t label = 0; label < index_.classes.size(); ++label) {
            LL_VALIDATE(
                list_class("train", label, index_.train) > 0, ExitCode::bad_data,
                text("class '", index_.classes[label], "' has no images (no .jpg or .jpeg files ",
                     "in '", (root_ / below_ / "train" / index_.classes[label]).native(),
                     "') add some or leave the class out by data.classes"));
        }
    }

    void list_validation() {
        const fs::path folder = root_ / below_ / "val";
        const std::vector<std::string> folders = class_folders(folder);
        const std::vector<std::string>* flat = nullptr;
        if (folders.empty()) {
            flat = &listing_.images(std::string(below_) + "val");
        }
        if (flat != nullptr && !flat->empty()) {
            list_flat_validation(*flat);
        }
        for (const std::string& name : folders) {
            LL_VALIDATE(
                std::binary_search(all_classes_.begin(), all_classes_.end(), name),
                ExitCode::bad_data,
                text("'", (folder / name).native(), "' is not a class of '",
                     (root_ / below_ / "train").native(), "'", did_you_mean(name, all_classes_)));
        }
        for (std::size_t label = 0; label < index_.classes.size(); ++label) {
            if (std::binary_search(folders.begin(), folders.end(), index_.classes[label])) {
                list_class("val", label, index_.val);
            }
        }
        LL_VALIDATE(
            !index_.val.empty(), ExitCode::bad_data,
            text("'", folder.native(), "' has no images of these classes (no .jpg or .jpeg ",
                 "files) fill it, or remove it to train without validation"));
    }

    void list_flat_validation(const std::vector<std::string>& files) {
        const std::string list = list_file(root_, settings_.val_labels, label_lists);
        LL_VALIDATE(!list.empty(), ExitCode::input_missing,
                    text("'", (root_ / below_ / "val").native(), "' has images but no folder a ",
                         "class, and there is no list of their labels (LOC_val_solution.csv or "
                         "val_labels.txt in data.root) name one by data.val_labels"));
        const std::vector<std::string> labels = read_validation_labels(list, files, all_classes_);
        for (std::size_t i = 0; i < files.size(); ++i) {
            const auto chosen =
                std::lower_bound(index_.classes.begin(), index_.classes.end(), labels[i]);
            if (chosen != index_.classes.end() && *chosen == labels[i]) {
                index_.val.push_back({text(below_, "val/", files[i]),
                                      static_cast<std::int32_t>(chosen - index_.classes.begin())});
            }
        }
    }

    void name_classes() {
        const std::string list = list_file(root_, settings_.class_names, name_lists);
        if (list.empty()) {
            return;
        }
        const std::unordered_map<std::string, std::string> names = read_class_names(list);
        for (const std::string& name : index_.classes) {
            const auto found = names.find(name);
            index_.class_names.push_back(found != names.end() ? found->second : std::string());
        }
    }

    const DataSettings& settings_;
    fs::path root_;
    std::string_view below_;  // where train/ and val/ are: empty, or Kaggle's folder with its '/'
    FolderListing listing_;
    std::vector<std::string> all_classes_;
    ImageIndex index_;
};

}  // namespace

ImageIndex scan_image_folder(const DataSettings& settings) {
    LL_VALIDATE(!settings.root.empty(), ExitCode::configuration,
                "data.root is not set (data.source = folder reads images from it)");
    LL_VALIDATE(fs::is_directory(settings.root), ExitCode::input_missing,
                text("no data folder '", settings.root, "' (data.root)"));
    try {
        return Scan(settings).run();
    } catch (const fs::filesystem_error& error) {
        throw Error(ExitCode::input_missing,
                    text("cannot read data folder '", error.path1().native(), "' (",
                         error.code().message(), ")"));
    }
}

}  // namespace layerledger
