#include "image_lists.hpp"

#include <filesystem>
#include <system_error>

namespace layerledger {

void write_lists(const ImageIndex& images, const LabelDescription& labels,
                 const std::string& run_file) {
    const std::filesystem::path folder = std::filesystem::path(run_file).parent_path();
    if (!labels.train_list.empty()) {
        write_image_list(images.train, (folder / labels.train_list).string());
    }
    if (!labels.val_list.empty()) {
        write_image_list(images.val, (folder / labels.val_list).string());
    }
}

void remove_lists(const LabelDescription& labels, const std::string& run_file) {
    const std::filesystem::path folder = std::filesystem::path(run_file).parent_path();
    std::error_code failure;
    for (const std::string& list : {labels.train_list, labels.val_list}) {
        if (!list.empty()) {
            std::filesystem::remove(folder / list, failure);
        }
    }
}

}  // namespace layerledger
