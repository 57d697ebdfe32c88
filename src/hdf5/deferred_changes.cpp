#include "deferred_changes.hpp"

#include <algorithm>
#include <utility>

namespace layerledger {
namespace {

std::ptrdiff_t distance(std::uint64_t from, std::uint64_t to) {
    return static_cast<std::ptrdiff_t>(to - from);
}

}  // namespace

std::size_t DeferredChanges::defer(std::uint64_t address, std::span<const std::byte> bytes) {
    if (address >= end_ || bytes.empty()) {
        return 0;
    }
    const std::size_t size = std::min<std::uint64_t>(bytes.size(), end_ - address);
    std::uint64_t start = address;
    std::vector<std::byte> run(bytes.begin(), bytes.begin() + distance(0, size));

    // Older runs that overlap this one become part of it; where both have a byte, the newer counts.
    auto next = runs_.upper_bound(address);
    if (next != runs_.begin() &&
        std::prev(next)->first + std::prev(next)->second.size() > address) {
        --next;
    }
    while (next != runs_.end() && next->first < start + run.size()) {
        std::vector<std::byte>& older = next->second;
        const std::uint64_t older_end = next->first + older.size();
        if (older_end > start + run.size()) {
            run.insert(run.end(), older.begin() + distance(next->first, start + run.size()),
                       older.end());
        }
        if (next->first < start) {
            run.insert(run.begin(), older.begin(), older.begin() + distance(next->first, start));
            start = next->first;
        }
        next = runs_.erase(next);
    }
    runs_.emplace(start, std::move(run));
    return size;
}

void DeferredChanges::overlay(std::uint64_t address, std::span<std::byte> bytes) const {
    const std::uint64_t end = address + bytes.size();
    for (const auto& [start, run] : runs_) {
        const std::uint64_t from = std::max(start, address);
        const std::uint64_t to = std::min(start + run.size(), end);
        if (from < to) {
            std::copy(run.begin() + distance(start, from), run.begin() + distance(start, to),
                      bytes.begin() + distance(address, from));
        }
    }
}

bool DeferredChanges::apply(
    const std::function<bool(std::uint64_t, std::span<const std::byte>)>& store) {
    const bool is_done = !is_withheld_ && std::ranges::all_of(runs_, [&](const auto& run) {
        return store(run.first, std::span(run.second));
    });
    if (is_done) {
        runs_.clear();
    }
    return is_done;
}

}  // namespace layerledger
