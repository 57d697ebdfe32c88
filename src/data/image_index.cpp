// An index as a text: for other ranks, for people, and for comparing.
#include "layerledger/data/image_index.hpp"

#include <array>
#include <charconv>
#include <cstddef>
#include <string_view>
#include <utility>

#include "class_choice.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/fnv1a.hpp"
#include "layerledger/base/output_file.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

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

/// With an end to each text, so that two of them are not one of the same letters.
class TextDigest {
public:
    void add(std::string_view text) {
        digest_.add(text);
        digest_.add(static_cast<unsigned char>(0));
    }
    [[nodiscard]] std::string text() const {
        constexpr std::string_view digits = "0123456789abcdef";
        std::string shown;
        for (int shift = 60; shift >= 0; shift -= 4) {
            shown += digits[(digest_.value() >> static_cast<unsigned>(shift)) & 0xFU];
        }
        return shown;
    }

private:
    Fnv1a digest_;
};

}  // namespace

std::string ImageIndex::serialize() const {
    std::string out;
    const auto add = [&out](std::string_view field) { out.append(field).push_back('\0'); };
    add(root);
    for (const std::vector<std::string>* names : {&classes, &class_names}) {
        add(std::to_string(names->size()));
        for (const std::string& name : *names) {
            add(name);
        }
    }
    for (const std::vector<Image>* images : {&train, &val}) {
        add(std::to_string(images->size()));
        for (const Image& image : *images) {
            add(image.path);
            add(std::to_string(image.label));
            add(std::to_string(image.row));
        }
    }
    return out;
}

ImageIndex ImageIndex::deserialize(const std::string& text) {
    Fields fields(text);
    ImageIndex index;
    index.root = fields.next();
    for (std::vector<std::string>* names : {&index.classes, &index.class_names}) {
        for (std::size_t count = fields.number(); count > 0; --count) {
            names->emplace_back(fields.next());
        }
    }
    for (std::vector<Image>* images : {&index.train, &index.val}) {
        for (std::size_t count = fields.number(); count > 0; --count) {
            std::string path(fields.next());
            const auto label = static_cast<std::int32_t>(fields.number());
            images->push_back(
                {std::move(path), label, static_cast<std::uint32_t>(fields.number())});
        }
    }
    return index;
}

std::string ImageIndex::digest() const {
    TextDigest digest;
    for (const std::string& name : classes) {
        digest.add(name);
    }
    for (const std::vector<Image>* images : {&train, &val}) {
        digest.add(std::to_string(images->size()));
        for (const Image& image : *images) {
            digest.add(image.path);
            digest.add(std::to_string(image.label));
        }
    }
    return digest.text();
}

namespace {

/// A name with a tab or an end of line in it stays one field of one line.
std::string escaped(const std::string& path) {
    std::string shown;
    for (const char c : path) {
        switch (c) {
            case '\t': shown += "\\t"; break;
            case '\n': shown += "\\n"; break;
            case '\r': shown += "\\r"; break;
            case '\\': shown += "\\\\"; break;
            default: shown += c;
        }
    }
    return shown;
}

}  // namespace

void write_image_list(const std::vector<ImageIndex::Image>& images, const std::string& file) {
    try {
        OutputFile out(file);
        for (const ImageIndex::Image& image : images) {
            out.write(text(escaped(image.path), '\t', image.label, '\n'));
        }
        out.commit();
    } catch (const Error& error) {
        throw Error(ExitCode::cannot_create, error.what());  // before training nothing is lost
    }
}

}  // namespace layerledger
