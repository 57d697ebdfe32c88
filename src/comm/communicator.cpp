#include "layerledger/comm/communicator.hpp"

#include <algorithm>
#include <cstring>

#include "communicator_handle.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "mpi_check.hpp"
#include "request_wait.hpp"

namespace layerledger {
namespace {

// MPI counts are int; larger messages go in pieces of this many bytes or elements.
constexpr std::size_t piece = std::size_t{1} << 30;

template <class T>
T all_reduce_one(MPI_Comm comm, T value, MPI_Datatype type, MPI_Op operation,
                 std::chrono::nanoseconds deadline) {
    struct Values {
        T mine;
        T result;
    };
    auto values = std::make_unique<Values>(value, T{});
    MPI_Request request = MPI_REQUEST_NULL;
    LL_MPI(MPI_Iallreduce(&values->mine, &values->result, 1, type, operation, comm, &request));
    wait_for(request, values, deadline, the_others);
    return values->result;
}

MPI_Comm duplicate_of(MPI_Comm comm, std::chrono::nanoseconds deadline) {
    auto copy = std::make_unique<MPI_Comm>(MPI_COMM_NULL);
    MPI_Request request = MPI_REQUEST_NULL;
    LL_MPI(MPI_Comm_idup(comm, copy.get(), &request));
    wait_for(request, copy, deadline, the_others);
    return *copy;
}

}  // namespace

Communicator::Communicator() = default;
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;
Communicator::~Communicator() = default;

Communicator::Communicator(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {
    LL_MPI(MPI_Comm_rank(handle_->comm, &rank_));
    LL_MPI(MPI_Comm_size(handle_->comm, &size_));
}

Communicator Communicator::world() {
    return Communicator(std::make_unique<Handle>(duplicate_of(MPI_COMM_WORLD, setup_deadline)));
}

Communicator Communicator::duplicate() const {
    if (!handle_) {
        return {};
    }
    Communicator copy(std::make_unique<Handle>(duplicate_of(handle_->comm, deadline_)));
    copy.deadline_ = deadline_;
    return copy;
}

Communicator Communicator::node() const {
    if (!handle_) {
        return {};
    }
    meet();  // splitting has no form that can be polled
    MPI_Comm shared = MPI_COMM_NULL;
    LL_MPI(MPI_Comm_split_type(handle_->comm, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &shared));
    return Communicator(std::make_unique<Handle>(shared));
}

void Communicator::barrier(std::chrono::nanoseconds deadline, const std::string& what) const {
    barrier(deadline, [&what] { return what; });
}

void Communicator::barrier(std::chrono::nanoseconds deadline, const NameOfWait& what) const {
    if (!handle_) {
        return;
    }
    MPI_Request request = MPI_REQUEST_NULL;
    LL_MPI(MPI_Ibarrier(handle_->comm, &request));
    wait_for(request, deadline, what);
}

struct Communicator::PendingMax::State {
    std::int64_t mine = 0;
    std::int64_t largest = 0;
    std::chrono::nanoseconds deadline{};
    MPI_Request request = MPI_REQUEST_NULL;
};

Communicator::PendingMax::PendingMax(std::unique_ptr<State> state) : state_(std::move(state)) {}
Communicator::PendingMax::PendingMax(PendingMax&&) noexcept = default;

Communicator::PendingMax::~PendingMax() {
    if (!state_ || state_->request == MPI_REQUEST_NULL) {
        return;
    }
    try {
        wait_for(state_->request, std::chrono::seconds(2), "the other ranks");
    } catch (const std::exception& error) {
        log::warning(error.what());
        static_cast<void>(state_.release());  // MPI may still write into it
    }
}

std::int64_t Communicator::PendingMax::wait() {
    wait_for(state_->request, state_, state_->deadline, the_others);
    return state_->largest;
}

Communicator::PendingMax Communicator::start_max(std::int64_t value) const {
    auto state = std::make_unique<PendingMax::State>();
    state->mine = state->largest = value;
    state->deadline = deadline_;
    if (handle_) {
        LL_MPI(MPI_Iallreduce(&state->mine, &state->largest, 1, MPI_INT64_T, MPI_MAX, handle_->comm,
                              &state->request));
    }
    return PendingMax(std::move(state));
}

void Communicator::all_reduce_sum(std::span<float> values) const {
    if (!handle_) {
        return;
    }
    LL_EXPECT(values.size() <= piece);
    auto sums = std::make_unique<std::vector<float>>(values.begin(), values.end());
    MPI_Request request = MPI_REQUEST_NULL;
    LL_MPI(MPI_Iallreduce(MPI_IN_PLACE, sums->data(), static_cast<int>(sums->size()), MPI_FLOAT,
                          MPI_SUM, handle_->comm, &request));
    wait_for(request, sums, deadline_, the_others);
    std::copy(sums->begin(), sums->end(), values.begin());
}

void Communicator::all_reduce_sum_in_place(std::span<float> values,
                                           std::shared_ptr<void> memory) const {
    if (!handle_) {
        return;
    }
    LL_EXPECT(values.size() <= piece);
    auto kept = std::make_unique<std::shared_ptr<void>>(std::move(memory));
    MPI_Request request = MPI_REQUEST_NULL;
    LL_MPI(MPI_Iallreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_FLOAT,
                          MPI_SUM, handle_->comm, &request));
    wait_for(request, kept, deadline_, the_others);
}

void Communicator::all_reduce_sum_unwatched(std::span<float> values) const {
    if (!handle_) {
        return;
    }
    for (std::size_t begin = 0; begin < values.size(); begin += piece) {
        const auto count = static_cast<int>(std::min(piece, values.size() - begin));
        LL_MPI(MPI_Allreduce(MPI_IN_PLACE, values.data() + begin, count, MPI_FLOAT, MPI_SUM,
                             handle_->comm));
    }
}

double Communicator::all_reduce_sum(double value) const {
    return handle_ ? all_reduce_one(handle_->comm, value, MPI_DOUBLE, MPI_SUM, deadline_) : value;
}
std::int64_t Communicator::all_reduce_sum(std::int64_t value) const {
    return handle_ ? all_reduce_one(handle_->comm, value, MPI_INT64_T, MPI_SUM, deadline_) : value;
}
std::int64_t Communicator::all_reduce_max(std::int64_t value) const {
    return handle_ ? all_reduce_one(handle_->comm, value, MPI_INT64_T, MPI_MAX, deadline_) : value;
}
std::int64_t Communicator::all_reduce_min(std::int64_t value) const {
    return handle_ ? all_reduce_one(handle_->comm, value, MPI_INT64_T, MPI_MIN, deadline_) : value;
}

void Communicator::broadcast(std::span<std::byte> bytes) const {
    if (!handle_) {
        return;
    }
    meet();
    for (std::size_t begin = 0; begin < bytes.size(); begin += piece) {
        const auto count = static_cast<int>(std::min(piece, bytes.size() - begin));
        const std::span<std::byte> here = bytes.subspan(begin, static_cast<std::size_t>(count));
        auto part = std::make_unique<std::vector<std::byte>>(here.begin(), here.end());
        MPI_Request request = MPI_REQUEST_NULL;
        LL_MPI(MPI_Ibcast(part->data(), count, MPI_BYTE, 0, handle_->comm, &request));
        wait_for(request, part, deadline_, "rank 0", spin_after_meeting);
        std::copy(part->begin(), part->end(), here.begin());
    }
}

std::string Communicator::broadcast(std::string text) const {
    text.resize(static_cast<std::size_t>(broadcast(static_cast<std::int64_t>(text.size()))));
    broadcast(std::as_writable_bytes(std::span(text)));
    return text;
}

std::int64_t Communicator::broadcast(std::int64_t value) const {
    broadcast(std::as_writable_bytes(std::span(&value, 1)));
    return value;
}

std::vector<std::byte> Communicator::gather(std::span<const std::byte> bytes) const {
    if (!handle_) {
        return {bytes.begin(), bytes.end()};
    }
    LL_EXPECT(bytes.size() <= piece);
    meet();
    struct Buffers {
        std::vector<std::byte> mine;
        std::vector<std::byte> all;
    };
    auto buffers = std::make_unique<Buffers>();
    buffers->mine.assign(bytes.begin(), bytes.end());
    buffers->all.resize(is_root() ? bytes.size() * static_cast<std::size_t>(size_) : 0);
    const auto count = static_cast<int>(bytes.size());
    MPI_Request request = MPI_REQUEST_NULL;
    LL_MPI(MPI_Igather(buffers->mine.data(), count, MPI_BYTE, buffers->all.data(), count, MPI_BYTE,
                       0, handle_->comm, &request));
    wait_for(request, buffers, deadline_, the_others, spin_after_meeting);
    return std::move(buffers->all);
}

std::vector<std::string> Communicator::gather(const std::string& text) const {
    // Padded to the longest, so that one fixed-size gather does.
    const auto longest =
        static_cast<std::size_t>(all_reduce_max(static_cast<std::int64_t>(text.size())));
    std::vector<std::byte> padded(sizeof(std::uint64_t) + longest);
    const std::uint64_t length = text.size();
    std::memcpy(padded.data(), &length, sizeof length);
    std::memcpy(padded.data() + sizeof length, text.data(), text.size());
    const std::vector<std::byte> all = gather(std::span<const std::byte>(padded));

    std::vector<std::string> texts;
    for (std::size_t begin = 0; begin < all.size(); begin += padded.size()) {
        std::uint64_t bytes = 0;
        std::memcpy(&bytes, all.data() + begin, sizeof bytes);
        texts.emplace_back(reinterpret_cast<const char*>(all.data() + begin + sizeof bytes), bytes);
    }
    return texts;
}

std::vector<std::uint64_t> Communicator::gather(std::uint64_t value) const {
    const std::vector<std::byte> all = gather(std::as_bytes(std::span(&value, 1)));
    std::vector<std::uint64_t> values(all.size() / sizeof value);
    if (!all.empty()) {  // null pointers are not for memcpy, whatever the size
        std::memcpy(values.data(), all.data(), all.size());
    }
    return values;
}

}  // namespace layerledger
