// Which images there are, and of which classes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layerledger/config/experiment.hpp"

namespace layerledger {

/// The chosen images of a data set. A label is a position in `classes`.
struct ImageIndex {
    struct Image {
        std::string path;  ///< "train/n01440764/x.JPEG", from the root
        std::int32_t label = 0;
        std::uint32_t row = 0;  ///< of the packed file; 0 in a folder
    };
    std::string root;  ///< the folder, or the packed file
    std::vector<std::string> classes;
    std::vector<std::string> class_names;  ///< for people, one a class; empty where not known
    std::vector<Image> train;
    std::vector<Image> val;

    /// One text, for sending to the other ranks.
    [[nodiscard]] std::string serialize() const;
    [[nodiscard]] static ImageIndex deserialize(const std::string& text);

    /// 16 hexadecimal digits (FNV-1a) of classes, paths and labels: equal for equal training. The
    /// root is left out.
    [[nodiscard]] std::string digest() const;
};

/// What is in settings.root, of the classes in settings.classes. Understood are
///   train/CLASS/x.JPEG, and for validation val/CLASS/x.JPEG or val/x.JPEG with a list of labels;
///   the tree of the Kaggle challenge: the same below ILSVRC/Data/CLS-LOC, lists at the top.
/// Classes and files are in the order of their names. Names of folders' files are kept in
/// root/.layerledger-index.tsv where that can be written, and taken from there for folders that
/// have not changed since.
/// Throws Error: input_missing where a folder or a list is missing, bad_data where there are no
/// images, fewer than two classes, a class without images, or a list that does not match the
/// files; configuration where settings.classes asks for what is not there.
[[nodiscard]] ImageIndex scan_image_folder(const DataSettings& settings);

/// The same of the packed file settings.file, which `layerledger pack` has made. Throws Error:
/// input_missing where there is none, bad_data where it is something else.
[[nodiscard]] ImageIndex read_packed_index(const DataSettings& settings);

/// Writes "path<TAB>label<LF>" for each image, all or nothing; tabs, ends of lines and backslashes
/// in a path as \t, \n, \r and \\. Throws Error{cannot_create}.
void write_image_list(const std::vector<ImageIndex::Image>& images, const std::string& file);

}  // namespace layerledger
