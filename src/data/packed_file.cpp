#include "packed_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "class_choice.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

[[noreturn]] void refuse_damaged(const std::string& path, const std::string& why) {
    throw Error(ExitCode::bad_data,
                text("'", path, "' (data.file) is damaged (", why, ") copy or pack it again"));
}

/// What HDF5 cannot read here is a file that is cut short or was changed, no defect of a program.
template <class Read>
auto reading(const std::string& path, const Read& read) {
    try {
        return read();
    } catch (const Error& error) {
        if (error.code() != ExitCode::internal) {
            throw;
        }
        refuse_damaged(path, "HDF5 cannot read all of it: it was cut short or changed");
    }
}

hdf5::File open(const std::string& path) {
    LL_VALIDATE(!path.empty(), ExitCode::configuration,
                "data.file is not set (data.source = packed reads images from it) set data.file to "
                "a file that 'layerledger pack' has made");
    LL_VALIDATE(std::filesystem::is_regular_file(path), ExitCode::input_missing,
                text("no packed file '", path, "' (data.file",
                     std::filesystem::is_directory(path) ? "; it is a folder" : "",
                     ") make it with 'layerledger pack'"));
    LL_VALIDATE(std::ifstream(path), ExitCode::input_missing,
                text("cannot read '", path, "' (data.file; ", std::strerror(errno),
                     ") see to it that it can be read"));
    LL_VALIDATE(hdf5::File::is_hdf5(path), ExitCode::bad_data,
                text("'", path,
                     "' (data.file) is not a packed file (it is not even HDF5) make one "
                     "with 'layerledger pack'"));
    return reading(
        path, [&] { return hdf5::File::open(path, hdf5::Access::read, hdf5::Locking::unlocked); });
}

/// The images of one part whose class is among the chosen. `label_of` maps labels of the file.
std::vector<ImageIndex::Image> chosen_images(std::vector<ImageIndex::Image> all,
                                             const std::vector<std::int32_t>& label_of) {
    std::erase_if(all, [&](ImageIndex::Image& image) {
        image.label = label_of[static_cast<std::size_t>(image.label)];
        return image.label < 0;
    });
    return all;
}

}  // namespace

PackedFile::PackedFile(const std::string& path) : path_(path), file_(open(path)) {
    reading(path_, [this] { check(); });
}

void PackedFile::check() {
    LL_VALIDATE(file_.text_attribute("/", "format") == std::string(packed::format),
                ExitCode::bad_data,
                text("'", path_,
                     "' (data.file) is not a packed file (it is some other HDF5 file) "
                     "make one with 'layerledger pack'"));
    LL_VALIDATE(file_.integer_attribute("/", "format_version") == packed::version,
                ExitCode::bad_data,
                text("'", path_,
                     "' is of a version of packed files that this program does not know "
                     "(it knows ",
                     packed::version, ") pack it again"));
    if (!file_.contains("classes")) {
        refuse_damaged(path_, "it does not name its classes");
    }
    check_group(PackedPart::train);
    if (file_.contains(packed::group(PackedPart::val))) {
        check_group(PackedPart::val);
    }
}

void PackedFile::check_group(PackedPart part) {
    const std::string group = packed::group(part);
    const bool is_whole = file_.contains(group) && file_.contains(group + "/images") &&
                          file_.contains(group + "/labels") && file_.contains(group + "/paths");
    const hdf5::Extent extent = is_whole ? file_.extent(group + "/images") : hdf5::Extent{};
    if (extent.size() != 4 || extent[3] != packed::channels || extent[1] == 0 || extent[2] == 0 ||
        file_.extent(group + "/labels") != hdf5::Extent{extent[0]} ||
        file_.extent(group + "/paths") != hdf5::Extent{extent[0]} ||
        file_.element(group + "/images") != hdf5::Element::uint8) {
        refuse_damaged(path_, text("its group ", group, " is not what 'layerledger pack' writes"));
    }
    const PixelExtent found{static_cast<int>(extent[2]), static_cast<int>(extent[1])};
    LL_VALIDATE(
        extent_.width == 0 || (extent_.width == found.width && extent_.height == found.height),
        ExitCode::bad_data,
        text("'", path_, "' holds training images of ", extent_.width, " x ", extent_.height,
             " pixels and validation images of ", found.width, " x ", found.height,
             " (they must be alike) pack it again"));
    extent_ = found;
}

std::size_t PackedFile::image_bytes() const noexcept {
    return static_cast<std::size_t>(extent_.width) * static_cast<std::size_t>(extent_.height) *
           packed::channels;
}

ImageIndex PackedFile::index() const {
    return reading(path_, [this] { return read_index(); });
}

ImageIndex PackedFile::read_index() const {
    ImageIndex index;
    index.root = path_;
    index.classes = file_.read<std::string>("classes");
    if (file_.contains("class_names")) {
        index.class_names = file_.read<std::string>("class_names");
    }
    const auto classes = static_cast<std::int32_t>(index.classes.size());
    for (const PackedPart part : {PackedPart::train, PackedPart::val}) {
        const std::string group = packed::group(part);
        if (!file_.contains(group)) {
            continue;
        }
        const auto labels = file_.read<std::int32_t>(group + "/labels");
        std::vector<std::string> paths = file_.read<std::string>(group + "/paths");
        auto& images = part == PackedPart::train ? index.train : index.val;
        for (std::size_t i = 0; i < labels.size(); ++i) {
            if (labels[i] < 0 || labels[i] >= classes) {
                refuse_damaged(path_, text("image ", i, " of ", group, " has the label ", labels[i],
                                           ", there are ", classes, " classes"));
            }
            images.push_back({std::move(paths[i]), labels[i], static_cast<std::uint32_t>(i)});
        }
    }
    return index;
}

void PackedFile::read(PackedPart part, std::uint32_t row, int first, int count,
                      std::span<std::uint8_t> pixels) {
    const auto line = static_cast<unsigned long long>(first);
    const auto lines = static_cast<unsigned long long>(count);
    const auto width = static_cast<unsigned long long>(extent_.width);
    reading(path_, [&] {
        file_.read_into<std::uint8_t>(std::string(packed::group(part)) + "/images",
                                      {{row, line, 0, 0}, {1, lines, width, packed::channels}},
                                      pixels);
    });
}

ImageIndex read_packed_index(const DataSettings& settings) {
    ImageIndex index = PackedFile(settings.file).index();
    const std::vector<std::string> chosen =
        choose_classes(index.classes, settings.classes, text("'", settings.file, "'"));
    std::vector<std::int32_t> label_of(index.classes.size(), -1);
    std::vector<std::string> names;
    for (std::size_t label = 0; label < index.classes.size(); ++label) {
        const auto found = std::lower_bound(chosen.begin(), chosen.end(), index.classes[label]);
        if (found != chosen.end() && *found == index.classes[label]) {
            label_of[label] = static_cast<std::int32_t>(found - chosen.begin());
            if (!index.class_names.empty()) {
                names.push_back(index.class_names[label]);
            }
        }
    }
    index.train = chosen_images(std::move(index.train), label_of);
    index.val = chosen_images(std::move(index.val), label_of);
    index.classes = chosen;
    index.class_names = std::move(names);
    return index;
}

}  // namespace layerledger
