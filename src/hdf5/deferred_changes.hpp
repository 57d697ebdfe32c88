// Changes to bytes that a file has already, held back until all that they point to is in the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

namespace layerledger {

class DeferredChanges {
public:
    /// From now on, changes to bytes before `end` are held back.
    void defer_below(std::uint64_t end) noexcept { end_ = end; }

    /// Holds back what of these bytes lies before the end, and returns how many that are: the
    /// first.
    std::size_t defer(std::uint64_t address, std::span<const std::byte> bytes);

    /// Puts what is held back over bytes that were read from the file.
    void overlay(std::uint64_t address, std::span<std::byte> bytes) const;

    /// What the changes point to could not be written: from now on `apply` only returns false.
    void withhold() noexcept { is_withheld_ = true; }

    /// Hands over all changes by rising address, each as it came, and forgets them. Stops where
    /// `store` returns false, keeps all, and returns false.
    [[nodiscard]] bool apply(
        const std::function<bool(std::uint64_t, std::span<const std::byte>)>& store);

private:
    std::uint64_t end_ = 0;
    bool is_withheld_ = false;
    std::map<std::uint64_t, std::vector<std::byte>> runs_;  // by address; none overlap
};

}  // namespace layerledger
