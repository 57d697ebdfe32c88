// What is in a folder of images, in one of the layouts in which people have them.
#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <span>
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
#include "list_names.hpp"
#include "staging_marker.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kaggle_data = "ILSVRC/Data/CLS-LOC/";

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
                      std::span<const char* const> usual) {
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
                         "Kaggle challenge) look at data.root"));
        all_classes_ = class_folders(train);
        LL_VALIDATE(!all_classes_.empty(), ExitCode::bad_data,
                    text("'", train.native(), "' has no classes (no folders in it) put the images ",
                         "into one folder a class"));
        LL_VALIDATE(all_classes_.size() >= 2, ExitCode::bad_data,
                    text("'", train.native(), "' has one class only, '", all_classes_[0],
                         "' (at least two are needed) put each class into a folder of its own"));
        index_.root = settings_.root;
        index_.classes =
            choose_classes(all_classes_, settings_.classes, text("'", train.native(), "'"));
        find_names();
        list_training();
        if (fs::is_directory(root_ / below_ / "val")) {
            list_validation();
        }
        name_classes();
        require_targets();
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

    /// Links to nowhere are images that cannot be read, and known before training begins.
    void require_targets() const {
        const std::vector<std::string>& links = listing_.dangling();
        if (links.empty()) {
            return;
        }
        const std::string found =
            text(links.size(), links.size() == 1 ? " image is a link" : " images are links",
                 " to nowhere, '", (root_ / links.front()).native(), "'",
                 links.size() == 1 ? "" : " first");
        LL_VALIDATE(settings_.on_error == OnError::skip, ExitCode::bad_data,
                    text(found, " (no such file is where it points to) mend or remove it, or set ",
                         "data.on_error = skip"));
        log::warning(text(found, "; skipped where training comes to it (data.on_error)"));
    }

    /// The classes of the whole set, of which train/ may have a part only: from the list of their
    /// names where it has all of these, else as staging has seen it. Empty where neither says more
    /// than train/ does.
    [[nodiscard]] std::vector<std::string> whole_set() const {
        std::vector<std::string> known = all_classes_;
        if (const auto marker = read_marker(settings_.root)) {
            known.insert(known.end(), marker->whole.begin(), marker->whole.end());
            std::sort(known.begin(), known.end());
            known.erase(std::unique(known.begin(), known.end()), known.end());
        }
        std::vector<std::string> named;
        for (const auto& [name, readable] : names_) {
            named.push_back(name);
        }
        std::sort(named.begin(), named.end());
        if (std::includes(named.begin(), named.end(), known.begin(), known.end())) {
            known = std::move(named);
        }
        return known.size() > all_classes_.size() ? known : std::vector<std::string>{};
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
        const std::vector<std::string> whole = whole_set();
        for (const std::string& name : folders) {
            // Where classes are chosen, what else lies there does not matter.
            LL_VALIDATE(!settings_.classes.empty() ||
                            std::binary_search(all_classes_.begin(), all_classes_.end(), name) ||
                            std::binary_search(whole.begin(), whole.end(), name),
                        ExitCode::bad_data,
                        text("'", (folder / name).native(), "' is not a class of '",
                             (root_ / below_ / "train").native(), "' (it has no such folder",
                             did_you_mean(name, all_classes_),
                             ") rename or remove it, or choose classes by data.classes"));
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
        const LabelClasses classes{all_classes_, whole_set()};
        const ValidationLabels labels = read_validation_labels(list, files, classes);
        for (std::size_t i = 0; i < files.size(); ++i) {
            const auto chosen =
                std::lower_bound(index_.classes.begin(), index_.classes.end(), labels.classes[i]);
            if (chosen != index_.classes.end() && *chosen == labels.classes[i]) {
                index_.val.push_back({text(below_, "val/", files[i]),
                                      static_cast<std::int32_t>(chosen - index_.classes.begin())});
            }
        }
        LL_VALIDATE(!index_.val.empty(), ExitCode::bad_data,
                    text("'", list, "' gives no image of val/ a class that is trained ('",
                         labels.elsewhere > 0 ? labels.first_elsewhere : labels.classes.front(),
                         "' is one that it gives) use the list of this data set, or remove val/ "
                         "to train without validation"));
        report_left_out(labels, files.size(), classes.whole.empty());
    }

    /// A class that is not in train/ is a slip of the pen, unless the whole set is known to have
    /// it.
    void report_left_out(const ValidationLabels& labels, std::size_t files,
                         bool is_doubtful) const {
        const std::size_t left_out = files - index_.val.size();
        if (labels.elsewhere > 0 && is_doubtful) {
            log::warning(text(labels.elsewhere, " of ", files,
                              " images in val/ are left out: train/ ", "has not their classes ('",
                              labels.first_elsewhere, "' is the first",
                              did_you_mean(labels.first_elsewhere, all_classes_), ")"));
        } else if (left_out > 0) {
            log::info(text("validation takes ", index_.val.size(), " of ", files,
                           " images in val/: the others are of other classes"));
        }
    }

    void find_names() {
        const std::string list = list_file(root_, settings_.class_names, name_lists);
        if (!list.empty()) {
            names_ = read_class_names(list, all_classes_);
        }
    }

    void name_classes() {
        const auto says_more = [](const auto& name) { return !name.second.empty(); };
        if (std::none_of(names_.begin(), names_.end(), says_more)) {
            return;
        }
        for (const std::string& name : index_.classes) {
            const auto found = names_.find(name);
            index_.class_names.push_back(found != names_.end() ? found->second : std::string());
        }
    }

    const DataSettings& settings_;
    fs::path root_;
    std::string_view below_;  // where train/ and val/ are: empty, or Kaggle's folder with its '/'
    FolderListing listing_;
    std::vector<std::string> all_classes_;
    std::unordered_map<std::string, std::string> names_;  // of classes, for people
    ImageIndex index_;
};

}  // namespace

ImageIndex scan_image_folder(const DataSettings& settings) {
    LL_VALIDATE(!settings.root.empty(), ExitCode::configuration,
                "data.root is not set (data.source = folder reads images from it) set data.root");
    LL_VALIDATE(fs::is_directory(settings.root), ExitCode::input_missing,
                text("no data folder '", settings.root, "' (nothing is there) look at data.root"));
    try {
        return Scan(settings).run();
    } catch (const fs::filesystem_error& error) {
        throw Error(ExitCode::input_missing,
                    text("cannot read data folder '", error.path1().native(), "' (",
                         error.code().message(), ") see to it that it can be read"));
    }
}

}  // namespace layerledger
