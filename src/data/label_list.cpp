#include "label_list.hpp"

#include <algorithm>
#include <cctype>
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
constexpr std::string_view between = ", \t";

// "x.JPEG" and Kaggle's "x" are the same image.
std::string stem(const std::string& name) {
    const std::size_t dot = name.rfind('.');
    return name.substr(0, dot);
}

struct Entry {
    std::string image;
    std::string label;  ///< and what follows it; empty where nothing follows the first word
};

/// Where the file's name ends in a line: after .jpg or .jpeg, since it may have blanks in it, or
/// where Kaggle's names without either end; npos where nothing follows.
std::size_t end_of_image(const std::string& line) {
    std::string lower = line;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    for (const std::string_view suffix : {".jpeg", ".jpg"}) {
        for (std::size_t at = lower.find(suffix); at != std::string::npos;
             at = lower.find(suffix, at + 1)) {
            const std::size_t end = at + suffix.size();
            if (end < line.size() && between.find(line[end]) != std::string_view::npos) {
                return end;
            }
        }
    }
    return line.find_first_of(between);
}

/// Of a line without white space at its end.
Entry split(const std::string& line) {
    const std::size_t end = end_of_image(line);
    if (end == std::string::npos) {
        return {line, {}};
    }
    return {line.substr(0, end), line.substr(line.find_first_not_of(between, end))};
}

std::optional<std::size_t> number(const std::string& word) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{} || end != word.data() + word.size()) {
        return {};
    }
    return value;
}

bool contains(const std::vector<std::string>& sorted, const std::string& name) {
    return std::binary_search(sorted.begin(), sorted.end(), name);
}

class Reader {
public:
    Reader(const std::string& list, const LabelClasses& classes)
        : list_(list),
          classes_(classes),
          known_(classes.whole.empty() ? classes.here : classes.whole),
          numbers_are_names_(std::any_of(known_.begin(), known_.end(), [](const std::string& name) {
              return number(name).has_value();
          })) {}

    /// The class that `words` begin with, or their first one.
    [[nodiscard]] std::string label_in(const std::string& words) const {
        std::string name = class_named_by(words, known_);
        return name.empty() ? words.substr(0, words.find_first_of(between)) : name;
    }

    /// The class of a label beside a file's name; empty where it is not of those here.
    [[nodiscard]] std::string class_of(const std::string& label) const {
        if (const auto position = number(label); position && !numbers_are_names_) {
            LL_VALIDATE(*position < known_.size(), ExitCode::bad_data, too_high(label));
            return if_here(known_[*position]);
        }
        require_known(label);
        return if_here(label);
    }

    /// A line with a class and no name of a file.
    [[nodiscard]] bool is_alone(const std::string& line) const {
        return split(line).label.empty() || contains(known_, line);
    }

    // One number a line is what the ILSVRC development kit has, whose numbers follow another order.
    [[nodiscard]] std::string class_alone(const std::string& label) const {
        LL_VALIDATE(!number(label) || numbers_are_names_, ExitCode::bad_data,
                    text("'", list_, "' holds '", label, "' alone in a line (",
                         "numbers of the ILSVRC development kit count classes in an order of "
                         "their own) give a list with a file name and a class in each line"));
        require_known(label);
        return if_here(label);
    }

private:
    [[nodiscard]] std::string if_here(const std::string& name) const {
        return contains(classes_.here, name) ? name : std::string();
    }
    void require_known(const std::string& label) const {
        LL_VALIDATE(classes_.whole.empty() || contains(known_, label), ExitCode::bad_data,
                    text("'", list_, "' gives the label '", label, "' (the set has no such class",
                         did_you_mean(label, known_), ") use the list of this data set"));
    }
    [[nodiscard]] std::string too_high(const std::string& label) const {
        return text("'", list_, "' gives the label '", label,
                    "' (numbers count the classes of the whole set from 0, and ",
                    classes_.whole.empty() ? "train/ has " : "it has ", known_.size(),
                    ") name by data.class_names a file with one class of the whole set in each "
                    "line, or give labels by the classes' names");
    }

    const std::string& list_;
    const LabelClasses& classes_;
    const std::vector<std::string>& known_;
    bool numbers_are_names_;
};

}  // namespace

ValidationLabels read_validation_labels(const std::string& list,
                                        const std::vector<std::string>& files,
                                        const LabelClasses& classes) {
    std::vector<std::string> lines = read_lines(list, "data.val_labels");
    for (std::string& line : lines) {
        line.erase(line.find_last_not_of(between) + 1);
    }
    std::erase_if(lines,
                  [](const std::string& line) { return line.empty() || line == kaggle_header; });
    LL_VALIDATE(lines.size() == files.size(), ExitCode::bad_data,
                text("'", list, "' has ", lines.size(), " labels, val/ has ", files.size(),
                     " images (each image needs one label) use the list of this data set"));
    const Reader reader(list, classes);
    ValidationLabels labels;
    labels.classes.reserve(files.size());
    const auto add = [&labels](const std::string& name, const std::string& label) {
        if (name.empty() && ++labels.elsewhere == 1) {
            labels.first_elsewhere = label;
        }
        labels.classes.push_back(name);
    };
    if (lines.empty() || reader.is_alone(lines.front())) {
        for (const std::string& line : lines) {
            add(reader.class_alone(line), line);
        }
        return labels;
    }
    std::unordered_map<std::string, std::string> of_image;
    for (const std::string& line : lines) {
        const Entry entry = split(line);
        of_image.emplace(stem(entry.image), reader.label_in(entry.label));
    }
    for (const std::string& file : files) {
        const auto found = of_image.find(stem(file));
        LL_VALIDATE(
            found != of_image.end(), ExitCode::bad_data,
            text("'", list, "' has no label for val/", file, "; use the list of this data set"));
        add(reader.class_of(found->second), found->second);
    }
    return labels;
}

std::unordered_map<std::string, std::string> read_class_names(
    const std::string& file, const std::vector<std::string>& classes) {
    constexpr std::string_view blanks = " \t";
    std::unordered_map<std::string, std::string> names;
    for (const std::string& line : read_lines(file, "data.class_names")) {
        std::string name = class_named_by(line, classes);
        if (name.empty()) {
            name = line.substr(0, line.find_first_of(blanks));
        }
        const std::size_t begin = line.find_first_not_of(blanks, name.size());
        if (!name.empty()) {
            names.emplace(name, begin == std::string::npos ? std::string() : line.substr(begin));
        }
    }
    LL_VALIDATE(
        std::ranges::any_of(classes, [&](const auto& name) { return names.contains(name); }),
        ExitCode::bad_data,
        text("'", file,
             "' (data.class_names) names none of the classes (a line is the folder of a "
             "class, a blank and what it is called) take another list"));
    return names;
}

}  // namespace layerledger
