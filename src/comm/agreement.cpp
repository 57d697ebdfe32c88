// Ranks that agree: on a value, and on whether a step succeeded.
#include <limits>
#include <optional>

#include "layerledger/base/text.hpp"
#include "layerledger/comm/communicator.hpp"

namespace layerledger {

bool Communicator::is_same_on_all_ranks(std::uint64_t digest) const {
    const auto value = static_cast<std::int64_t>(digest);
    return all_reduce_min(value) == all_reduce_max(value);
}

void Communicator::agree(const std::function<void()>& step) const {
    std::optional<Error> failure;
    try {
        step();
    } catch (const Error& error) {
        failure = error;
    } catch (const std::exception& error) {
        failure.emplace(ExitCode::internal, error.what());
    }
    const std::int64_t nobody = std::numeric_limits<std::int64_t>::max();
    const std::int64_t first = all_reduce_min(failure ? rank_ : nobody);
    if (first == nobody) {
        return;
    }
    const bool is_first = failure && first == rank_;
    const std::int64_t code =
        all_reduce_max(is_first ? static_cast<std::int64_t>(failure->code()) : 0);
    const std::vector<std::string> whats = gather(is_first ? failure->what() : std::string());
    if (is_first) {
        throw AgreedError(*failure, /*met_here=*/true);
    }
    const std::string reason =
        is_root() ? text("rank ", first, ": ", whats[static_cast<std::size_t>(first)])
                  : text("rank ", first, " failed");
    throw AgreedError(Error(static_cast<ExitCode>(code), reason), /*met_here=*/false);
}

void Communicator::agree_on_root(const std::function<void()>& step) const {
    agree([&] {
        if (is_root()) {
            step();
        }
    });
}

}  // namespace layerledger
