// Strong ids: an index into one kind of table that cannot be mistaken for another.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace layerledger {

template <class Tag>
struct Id {
    std::int32_t value = 0;

    constexpr Id() = default;
    constexpr explicit Id(std::int32_t v) noexcept : value(v) {}
    constexpr explicit Id(std::size_t v) noexcept : value(static_cast<std::int32_t>(v)) {}

    [[nodiscard]] constexpr std::size_t index() const noexcept {
        return static_cast<std::size_t>(value);
    }
    friend constexpr auto operator<=>(Id, Id) = default;
};

using LayerId = Id<struct LayerTag>;
using OpId = Id<struct OpTag>;
using ParameterId = Id<struct ParameterTag>;
using BucketId = Id<struct BucketTag>;

}  // namespace layerledger
