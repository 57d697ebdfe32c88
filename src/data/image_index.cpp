// What is in an ImageNet-style folder.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <string_view>
#include <utility>

#include "class_choice.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/data/batch_source.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;

bool is_hidden(const fs::path& path) {
    return path.filename().native().starts_with('.');
}

bool is_jpeg_name(const fs::path& path) {
    std::string extension = path.extension().native();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return extension == ".jpg" || extension == ".jpeg";
}

std::vector<std::string> class_folders(const fs::path& folder) {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
        if (entry.is_directory() && !is_hidden(entry.path())) {
            names.push_back(entry.path().filename().native());
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

// The JPEG files of one class folder, in order of their names.
std::vector<std::string> image_files(const fs::path& folder) {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
        if (is_jpeg_name(entry.path()) && !is_hidden(entry.path()) && entry.is_regular_file()) {
            names.push_back(entry.path().filename().native());
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

// A single number cannot be a list of classes (one class is too few), so it is a count.
bool is_count(const std::vector<std::string>& wanted) {
    return wanted.size() == 1 && std::all_of(wanted[0].begin(), wanted[0].end(),
                                             [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::vector<std::string> choose_classes(std::vector<std::string> found,
                                        std::vector<std::string> wanted) {
    if (wanted.empty()) {
        return found;
    }
    if (is_count(wanted)) {
        std::size_t count = 0;
        const char* end = wanted[0].data() + wanted[0].size();
        const bool fits = std::from_chars(wanted[0].data(), end, count).ec == std::errc{};
        LL_VALIDATE(fits && count >= 2 && count <= found.size(), ExitCode::configuration,
                    text("data.classes = ", wanted[0], " is out of range (the folder has ",
                         found.size(), " classes) give 2 to ", found.size()));
        found.resize(count);
        return found;
    }
    std::sort(wanted.begin(), wanted.end());
    const auto twice = std::adjacent_find(wanted.begin(), wanted.end());
    LL_VALIDATE(twice == wanted.end(), ExitCode::configuration,
                text("data.classes names '", *twice, "' twice"));
    for (const std::string& name : wanted) {
        LL_VALIDATE(std::binary_search(found.begin(), found.end(), name), ExitCode::configuration,
                    text("data.classes names '", name, "' (the folder has no such class",
                         did_you_mean(name, found), ")"));
    }
    LL_VALIDATE(wanted.size() >= 2, ExitCode::configuration,
                text("data.classes names one class, '", wanted[0], "' (at least two are needed)"));
    return wanted;
}

namespace {

std::vector<ImageIndex::Image> list_images(const fs::path& root, const std::string& part,
                                           const std::vector<std::string>& classes) {
    std::vector<ImageIndex::Image> images;
    for (std::size_t label = 0; label < classes.size(); ++label) {
        const fs::path folder = root / part / classes[label];
        if (part == "val" && !fs::is_directory(folder)) {
            continue;
        }
        for (const std::string& name : image_files(folder)) {
            images.push_back(
                {text(part, "/", classes[label], "/", name), static_cast<std::int32_t>(label)});
        }
        LL_VALIDATE(part == "val" || (!images.empty() &&
                                      images.back().label == static_cast<std::int32_t>(label)),
                    ExitCode::bad_data,
                    text("class '", classes[label], "' has no images (no .jpg or .jpeg files in '",
                         folder.native(), "') add some or leave the class out by data.classes"));
    }
    return images;
}

void scan_validation(const fs::path& root, const std::vector<std::string>& train_classes,
                     ImageIndex& index) {
    if (!fs::is_directory(root / "val")) {
        return;
    }
    for (const std::string& name : class_folders(root / "val")) {
        LL_VALIDATE(std::binary_search(train_classes.begin(), train_classes.end(), name),
                    ExitCode::bad_data,
                    text("'", (root / "val" / name).native(), "' is not a class of '",
                         (root / "train").native(), "'", did_you_mean(name, train_classes)));
    }
    index.val = list_images(root, "val", index.classes);
    LL_VALIDATE(!index.val.empty(), ExitCode::bad_data,
                text("'", (root / "val").native(), "' has no images (no .jpg or .jpeg files in ",
                     "folders named like the classes) fill it, or remove it to train without ",
                     "validation"));
}

ImageIndex scan(const DataSettings& settings) {
    LL_VALIDATE(!settings.root.empty(), ExitCode::configuration,
                "data.root is not set (data.source = folder reads images from it)");
    const fs::path root = settings.root;
    LL_VALIDATE(fs::is_directory(root), ExitCode::input_missing,
                text("no data folder '", settings.root, "' (data.root)"));
    const fs::path train = root / "train";
    LL_VALIDATE(fs::is_directory(train), ExitCode::input_missing,
                text("no folder '", train.native(), "' (data.root holds train/ and, optionally, ",
                     "val/, with one folder a class)"));

    const std::vector<std::string> found = class_folders(train);
    LL_VALIDATE(!found.empty(), ExitCode::bad_data,
                text("'", train.native(), "' has no classes (no folders in it) put the images ",
                     "into one folder a class"));
    LL_VALIDATE(found.size() >= 2, ExitCode::bad_data,
                text("'", train.native(), "' has one class only, '", found[0],
                     "' (at least two are needed)"));
    ImageIndex index;
    index.root = settings.root;
    index.classes = choose_classes(found, settings.classes);
    index.train = list_images(root, "train", index.classes);
    scan_validation(root, found, index);
    return index;
}

// Reads back what serialize wrote. Fields end in '\0', the one byte that no path contains.
class Fields {
public:
    explicit Fields(std::string_view rest) : rest_(rest) {}

    std::string_view next() {
        const std::size_t end = rest_.find('\0');
        LL_VALIDATE(end != std::string_view::npos, ExitCode::internal, "image index is cut short");
        const std::string_view field = rest_.substr(0, end);
        rest_.remove_prefix(end + 1);
        return field;
    }
    std::size_t number() {
        const std::string_view field = next();
        std::size_t value = 0;
        const auto [last, error] =
            std::from_chars(field.data(), field.data() + field.size(), value);
        LL_VALIDATE(error == std::errc{} && last == field.data() + field.size(), ExitCode::internal,
                    "image index is garbled");
        return value;
    }

private:
    std::string_view rest_;
};

}  // namespace

ImageIndex scan_image_folder(const DataSettings& settings) {
    try {
        return scan(settings);
    } catch (const fs::filesystem_error& error) {
        throw Error(ExitCode::input_missing,
                    text("cannot read data folder '", error.path1().native(), "' (",
                         error.code().message(), ")"));
    }
}

std::string ImageIndex::serialize() const {
    std::string out;
    const auto add = [&out](std::string_view field) { out.append(field).push_back('\0'); };
    add(root);
    add(std::to_string(classes.size()));
    for (const std::string& name : classes) {
        add(name);
    }
    for (const std::vector<Image>* images : {&train, &val}) {
        add(std::to_string(images->size()));
        for (const Image& image : *images) {
            add(image.path);
            add(std::to_string(image.label));
        }
    }
    return out;
}

ImageIndex ImageIndex::deserialize(const std::string& text) {
    Fields fields(text);
    ImageIndex index;
    index.root = fields.next();
    for (std::size_t count = fields.number(); count > 0; --count) {
        index.classes.emplace_back(fields.next());
    }
    for (std::vector<Image>* images : {&index.train, &index.val}) {
        for (std::size_t count = fields.number(); count > 0; --count) {
            std::string path(fields.next());
            images->push_back({std::move(path), static_cast<std::int32_t>(fields.number())});
        }
    }
    return index;
}

}  // namespace layerledger
