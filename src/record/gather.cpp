#include "layerledger/record/gather.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {

namespace {

template <class T>
std::vector<T> values_of(std::span<const std::byte> bytes) {
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!bytes.empty()) {
        std::memcpy(values.data(), bytes.data(), bytes.size());
    }
    return values;
}

/// Throws an AgreedError on all ranks, which rank 0 is to say, unless `digest` is the same.
void require_same(const Communicator& world, std::uint64_t digest, const std::string& problem) {
    if (!world.is_same_on_all_ranks(digest)) {
        throw AgreedError(Error(ExitCode::internal, problem), /*met_here=*/world.is_root());
    }
}

}  // namespace

std::size_t largest_block(const RecordLayout& layout, int ranks) {
    const std::size_t row = layout.size * sizeof(float) + sizeof(std::int64_t);
    return std::max<std::size_t>(1, gather_limit_bytes / (row * static_cast<std::size_t>(ranks)));
}

RecordBlock block_of(std::vector<IterationFacts> facts, std::span<const std::byte> rows,
                     std::span<const std::byte> starts_ns) {
    return {std::move(facts), values_of<std::int64_t>(starts_ns), values_of<float>(rows)};
}

Gather::Gather(const Communicator& world, const RecordLayout& layout, std::uint64_t digest,
               const ClockMap& clock)
    : world_(world), layout_(layout), clock_(clock) {
    require_same(world, digest,
                 "the ranks disagree about what is recorded (their layers, buckets or profile "
                 "level differ) start all ranks with the same settings and the same build");
    // Nothing grows while training runs; pages cost nothing before they are used.
    const std::size_t block = largest_block(layout_, world.size());
    facts_.reserve(block);
    starts_ns_.reserve(block);
    rows_.reserve(block * layout_.size);
}

void Gather::add(const IterationFacts& facts, const Account& account,
                 const IterationMetrics& metrics) {
    LL_VALIDATE(pending() < largest_block(layout_, world_.size()), ExitCode::internal,
                text("more than ", pending(), " iterations wait to be gathered"));
    facts_.push_back(facts);
    starts_ns_.push_back(account.start_ns);
    const std::size_t begin = rows_.size();
    rows_.resize(begin + layout_.size);
    pack(layout_, account, metrics, std::span(rows_).subspan(begin));
}

RecordBlock Gather::collect() {
    // Unequal contributions would end in an error deep inside the message passing, or in a hang.
    const std::uint64_t first =
        facts_.empty() ? 0 : static_cast<std::uint64_t>(facts_.front().iteration);
    require_same(world_, (first << 20U) ^ pending(),
                 "the ranks bring different iterations to the gather");
    std::ranges::transform(starts_ns_, starts_ns_.begin(),
                           [this](std::int64_t own_ns) { return clock_.to_root_ns(own_ns); });
    const std::vector<std::byte> rows = world_.gather(std::as_bytes(std::span(rows_)));
    const std::vector<std::byte> starts = world_.gather(std::as_bytes(std::span(starts_ns_)));
    RecordBlock block =
        block_of(world_.is_root() ? facts_ : std::vector<IterationFacts>(), rows, starts);
    facts_.clear();
    starts_ns_.clear();
    rows_.clear();
    return block;
}

}  // namespace layerledger
