#include "layerledger/network/zoo.hpp"

#include <algorithm>
#include <array>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"
#include "zoo/architectures.hpp"

namespace layerledger {
namespace {

constexpr std::array<std::string_view, 4> normalization_names{"default", "none", "lrn", "batch"};

// Beyond these, products of extents leave 64 bits.
constexpr std::int64_t most_classes = 1'000'000;
constexpr std::int64_t largest_image = 65'536;

const std::vector<Architecture>& architectures_of_the_zoo() {
#define LL_ARCHITECTURE(name) architectures::name(),
    static const std::vector<Architecture> all{LL_ZOO(LL_ARCHITECTURE)};
#undef LL_ARCHITECTURE
    return all;
}

template <class Range, class Name>
std::vector<std::string> names_of(const Range& range, Name name_of) {
    std::vector<std::string> names;
    for (const auto& item : range) {
        names.emplace_back(name_of(item));
    }
    return names;
}

std::string joined(const std::vector<std::string>& words) {
    std::string all;
    for (const std::string& word : words) {
        all += all.empty() ? word : ", " + word;
    }
    return all;
}

const Architecture& find(std::string_view wanted) {
    const std::span<const Architecture> all = zoo();
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const Architecture& a) { return a.name == wanted; });
    if (found == all.end()) {
        const std::vector<std::string> names =
            names_of(all, [](const Architecture& a) { return a.name; });
        throw Error(ExitCode::configuration, text("unknown network '", wanted, "' (there are ",
                                                  joined(names), ")", did_you_mean(wanted, names)));
    }
    return *found;
}

const Variant& find(const Architecture& architecture, Normalization wanted) {
    const std::vector<Variant>& variants = architecture.variants;
    if (wanted == Normalization::architecture_default) {
        return variants.front();
    }
    const auto found = std::find_if(variants.begin(), variants.end(),
                                    [&](const Variant& v) { return v.normalization == wanted; });
    LL_VALIDATE(
        found != variants.end(), ExitCode::configuration,
        text(architecture.name, " has no normalization '", name(wanted), "' (it has ",
             joined(names_of(variants, [](const Variant& v) { return name(v.normalization); })),
             ") change network.normalization"));
    return *found;
}

void require_range(std::string_view key, std::int64_t value, std::int64_t least,
                   std::int64_t most) {
    LL_VALIDATE(value >= least && value <= most, ExitCode::configuration,
                text(key, " = ", value, " is out of range (from ", least, " to ", most, ")"));
}

}  // namespace

std::string_view name(Normalization normalization) {
    return normalization_names.at(static_cast<std::size_t>(normalization));
}

Normalization normalization_from(std::string_view word) {
    const auto* const found =
        std::find(normalization_names.begin(), normalization_names.end(), word);
    if (found == normalization_names.end()) {
        const std::vector<std::string> names(normalization_names.begin(),
                                             normalization_names.end());
        throw Error(ExitCode::configuration, text("unknown normalization '", word, "' (there are ",
                                                  joined(names), ")", did_you_mean(word, names)));
    }
    return static_cast<Normalization>(found - normalization_names.begin());
}

std::span<const Architecture> zoo() {
    return architectures_of_the_zoo();
}

Network make_network(std::string_view architecture, const ZooOptions& options) {
    const Architecture& chosen = find(architecture);
    const Variant& variant = find(chosen, options.normalization);
    ZooOptions complete;
    complete.classes = options.classes == 0 ? chosen.classes : options.classes;
    complete.image_size = options.image_size == 0 ? variant.image_size : options.image_size;
    complete.normalization = variant.normalization;
    require_range("network.classes", complete.classes, 2, most_classes);
    require_range("network.image_size", complete.image_size, 1, largest_image);
    return chosen.make(complete);
}

}  // namespace layerledger
