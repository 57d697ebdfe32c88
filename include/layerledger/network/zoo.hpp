// The architectures that ship with layerledger. Adding one is one file in src/network/zoo and one
// line in src/network/zoo/architectures.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layerledger/network/network.hpp"

namespace layerledger {

/// Which normalization an architecture uses where it has a choice.
enum class Normalization : unsigned char { architecture_default, none, lrn, batch };

/// "default", "none", "lrn", "batch".
[[nodiscard]] std::string_view name(Normalization normalization);

/// The inverse of `name`. Throws Error{configuration} for any other word.
[[nodiscard]] Normalization normalization_from(std::string_view word);

struct ZooOptions {
    std::int64_t classes = 0;     ///< 0 takes the architecture's own
    std::int64_t image_size = 0;  ///< pixels a side; 0 takes the architecture's own
    Normalization normalization = Normalization::architecture_default;
};

/// One way in which an architecture was published.
struct Variant {
    Normalization normalization = Normalization::none;
    std::int64_t image_size = 224;
};

struct Architecture {
    std::string name;
    std::string description;  ///< one line with the paper
    std::int64_t channels = 3;
    std::int64_t classes = 1000;
    std::vector<Variant> variants;  ///< the first is the default
    /// Gets options with nothing left to default.
    Network (*make)(const ZooOptions& options) = nullptr;
};

[[nodiscard]] std::span<const Architecture> zoo();

/// Throws Error{configuration} for an unknown name (with the nearest one), a normalization that
/// the architecture does not have, an image too small for it, or fewer than two classes.
[[nodiscard]] Network make_network(std::string_view architecture, const ZooOptions& options = {});

}  // namespace layerledger
