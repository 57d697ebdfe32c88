#include "label_list.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>

#include "class_choice.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

constexpr std::string_view kaggle_header = "ImageId,PredictionString";

// "x.JPEG" and Kaggle's "x" are the same image.
std::string stem(const std::string& name) {
    const std::size_t dot = name.rfind('.');
    return name.substr(0, dot);
}

/// A line's first two words; the second is empty where there is one.
struct Entry {
    std::string image;
    std::string label;
};

Entry split(const std::string& line) {
    constexpr const char* between = ", \t";
    const std::size_t end = line.find_first_of(between);
    if (end == std::string::npos) {
        return {line, {}};
    }
    const std::size_t begin = line.find_first_not_of(between, end);
    if (begin == std::string::npos) {
        return {line.substr(0, end), {}};
    }
    return {line.substr(0, end), line.substr(begin, line.find_first_of(between, begin) - begin)};
}

std::optional<std::size_t> number(const std::string& word) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{} || end != word.data() + word.size()) {
        return {};
    }
    return value;
}

class Reader {
public:
    Reader(const std::string& list, const std::vector<std::string>& classes)
        : list_(list), classes_(classes) {}

    std::string class_of(const std::string& label) const {
        if (std::binary_search(classes_.begin(), classes_.end(), label)) {
            return label;
        }
        const std::optional<std::size_t> position = number(label);
        if (position && *position < classes_.size()) {
            return classes_[*position];
        }
        throw Error(ExitCode::bad_data,
                    text("'", list_, "' gives the label '", label, "' (train/ has no such class",
                         did_you_mean(label, classes_), ")"));
    }

    // One number a line is what the ILSVRC development kit has, whose numbers follow another order.
    std::string class_alone(const std::string& label) const {
        LL_VALIDATE(std::binary_search(classes_.begin(), classes_.end(), label), ExitCode::bad_data,
                    text("'", list_, "' holds '", label, "' alone in a line (",
                         number(label) ? "numbers of the ILSVRC development kit count classes in "
                                         "an order of their own"
                                       : "train/ has no such class",
                         ") give a list with a file name and a class in each line"));
        return label;
    }

private:
    const std::string& list_;
    const std::vector<std::string>& classes_;
};

}  // namespace

std::vector<std::string> read_validation_labels(const std::string& list,
                                                const std::vector<std::string>& files,
                                                const std::vector<std::string>& classes) {
    std::vector<Entry> entries;
    for (const std::string& line : read_lines(list, "labels of the validation images")) {
        if (!line.empty() && line != kaggle_header) {
            entries.push_back(split(line));
        }
    }
    LL_VALIDATE(entries.size() == files.size(), ExitCode::bad_data,
                text("'", list, "' has ", entries.size(), " labels, val/ has ", files.size(),
                     " images (each image needs one label) use the list of this data set"));
    const Reader reader(list, classes);
    std::vector<std::string> labels;
    labels.reserve(files.size());
    if (entries.empty() || entries.front().label.empty()) {
        for (const Entry& entry : entries) {
            labels.push_back(reader.class_alone(entry.image));
        }
        return labels;
    }
    std::unordered_map<std::string, std::string> of_image;
    for (const Entry& entry : entries) {
        of_image.emplace(stem(entry.image), reader.class_of(entry.label));
    }
    for (const std::string& file : files) {
        const auto found = of_image.find(stem(file));
        LL_VALIDATE(
            found != of_image.end(), ExitCode::bad_data,
            text("'", list, "' has no label for val/", file, "; use the list of this data set"));
        labels.push_back(found->second);
    }
    return labels;
}

std::unordered_map<std::string, std::string> read_class_names(const std::string& file) {
    std::unordered_map<std::string, std::string> names;
    for (const std::string& line : read_lines(file, "data.class_names")) {
        const std::size_t end = line.find_first_of(" \t");
        if (end != std::string::npos) {
            names.emplace(line.substr(0, end), line.substr(line.find_first_not_of(" \t", end)));
        }
    }
    return names;
}

}  // namespace layerledger
