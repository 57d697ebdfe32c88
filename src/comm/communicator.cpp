#include "layerledger/comm/communicator.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <thread>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/base/waited.hpp"
#include "mpi_check.hpp"

namespace layerledger {
namespace {

// MPI counts are int; larger messages go in pieces of this many bytes or elements.
constexpr std::size_t piece = std::size_t{1} << 30;

using namespace std::chrono_literals;

/// How long a wait is polled without naps. Ranks that have met answer within the longer one, and a
/// nap between the steps of a message would cost more than the message.
constexpr std::chrono::nanoseconds spin{20us};
constexpr std::chrono::nanoseconds spin_after_meeting{1ms};

/// Polls until a request is done, with naps between once that takes long. Throws Error{internal}
/// after `deadline`: then MPI may still write into what the request works on.
void wait_for(MPI_Request& request, std::chrono::nanoseconds deadline, const std::string& what,
              std::chrono::nanoseconds spinning = spin) {
    Waited since_beginning;
    for (;;) {
        int done = 0;
        LL_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
        if (done != 0) {
            return;
        }
        const std::chrono::nanoseconds waited = since_beginning.look();
        if (waited > deadline) {
            throw DeadlineError(
                ExitCode::internal,
                text("waited ", duration_text(std::chrono::duration<double>(waited).count()),
                     " for ", what,
                     " (a rank hangs or its node is cut off) look at the log of the "
                     "rank that is missing"));
        }
        // Short waits are polled; longer ones give the core to whoever computes, and wake up
        // within a twentieth of the time already waited.
        if (waited < spinning) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(
                std::clamp<std::chrono::nanoseconds>(waited / 20, 5us, 200us));
        }
    }
}

/// Waits for a request that works on `memory`, which is left to MPI if that fails.
template <class Memory>
void wait_for(MPI_Request& request, std::unique_ptr<Memory>& memory,
              std::chrono::nanoseconds deadline, const std::string& what,
              std::chrono::nanoseconds spinning = spin) {
    try {
        wait_for(request, deadline, what, spinning);
    } catch (...) {
        static_cast<void>(memory.release());
        throw;
    }
}

constexpr const char* the_others = "the other ranks";

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

struct Communicator::Handle {
    explicit Handle(MPI_Comm owned) : comm(owned) {
        MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() {
        int finalized = 0;
        MPI_Finalized(&finalized);
        if (finalized == 0 && MPI_Comm_free(&comm) != MPI_SUCCESS) {
            log::error("MPI_Comm_free failed");
        }
    }
    MPI_Comm comm;
};

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

bool Communicator::take_last_word() const {
    constexpr int tag = 72;
    constexpr int probes = 10;  // one alone may just fetch the message that the next one finds
    for (int probe = 0; handle_ && probe < probes; ++probe) {
        int is_taken = 0;
        LL_MPI(MPI_Iprobe(MPI_ANY_SOURCE, tag, handle_->comm, &is_taken, MPI_STATUS_IGNORE));
        if (is_taken != 0) {
            return false;
        }
        std::this_thread::sleep_for(1ms);
    }
    for (int peer = 0; peer < size_; ++peer) {
        if (peer != rank_) {
            MPI_Request request = MPI_REQUEST_NULL;
            LL_MPI(MPI_Isend(nullptr, 0, MPI_BYTE, peer, tag, handle_->comm, &request));
            LL_MPI(MPI_Request_free(&request));
        }
    }
    return true;
}

std::vector<std::optional<std::string>> Communicator::call_roll(
    const std::string& word, std::chrono::nanoseconds patience) const {
    constexpr int tag = 73;
    constexpr int listeners = 4;  // some of them may be lost themselves
    if (!handle_) {
        return {};
    }
    auto sent = std::make_unique<std::string>(word);
    for (int peer = 0; peer < std::min(size_, listeners); ++peer) {
        if (peer != rank_) {
            MPI_Request request = MPI_REQUEST_NULL;
            LL_MPI(MPI_Isend(sent->data(), static_cast<int>(sent->size()), MPI_BYTE, peer, tag,
                             handle_->comm, &request));
            LL_MPI(MPI_Request_free(&request));
        }
    }
    static_cast<void>(sent.release());  // nobody is told when it has left; the job is about to end
    std::vector<std::optional<std::string>> words;
    if (rank_ < listeners) {
        words.resize(static_cast<std::size_t>(size_));
        words[static_cast<std::size_t>(rank_)] = word;
    }
    const auto end = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < end) {
        int is_here = 0;
        MPI_Status from{};
        LL_MPI(MPI_Iprobe(MPI_ANY_SOURCE, tag, handle_->comm, &is_here, &from));
        if (is_here == 0) {
            std::this_thread::sleep_for(5ms);
            continue;
        }
        int length = 0;
        LL_MPI(MPI_Get_count(&from, MPI_BYTE, &length));
        auto heard = std::make_unique<std::string>(static_cast<std::size_t>(length), ' ');
        MPI_Request request = MPI_REQUEST_NULL;
        LL_MPI(MPI_Irecv(heard->data(), length, MPI_BYTE, from.MPI_SOURCE, tag, handle_->comm,
                         &request));
        wait_for(request, heard, patience, "a word that has come");
        words[static_cast<std::size_t>(from.MPI_SOURCE)] = std::move(*heard);
    }
    return words;
}

namespace {

constexpr int clock_tag = 71;
/// Exchanges with one parent: enough that some meet no other work, and more where none did.
constexpr int least_exchanges = 16;
constexpr int most_exchanges = 128;
constexpr std::int64_t good_bound_ns = 4'000;
constexpr std::chrono::milliseconds exchange_patience{100};
/// More than two clocks that are held to the time of day drift apart.
constexpr double largest_drift = 500e-6;

/// Rank 0's time now as a parent knows it, and by how much that may be wrong.
struct ToldTime {
    std::int64_t root_ns = 0;
    std::int64_t bound_ns = 0;
};

void send_to(MPI_Comm comm, int peer, const ToldTime& value, std::chrono::nanoseconds deadline) {
    auto sent = std::make_unique<ToldTime>(value);
    MPI_Request request = MPI_REQUEST_NULL;
    LL_MPI(MPI_Isend(sent.get(), sizeof(ToldTime), MPI_BYTE, peer, clock_tag, comm, &request));
    wait_for(request, sent, deadline, text("rank ", peer), spin_after_meeting);
}

ToldTime receive_from(MPI_Comm comm, int peer, std::chrono::nanoseconds deadline) {
    auto received = std::make_unique<ToldTime>();
    MPI_Request request = MPI_REQUEST_NULL;
    LL_MPI(MPI_Irecv(received.get(), sizeof(ToldTime), MPI_BYTE, peer, clock_tag, comm, &request));
    wait_for(request, received, deadline, text("rank ", peer), spin_after_meeting);
    return *received;
}

/// What a child sends: `root_ns` is not 0 where it asks once more.
constexpr ToldTime question{1, 0};
constexpr ToldTime no_more{0, 0};

}  // namespace

ClockReading Communicator::ask_for_time(int parent, const ClockFunction& clock) const {
    std::optional<ClockReading> best;
    const auto begun = std::chrono::steady_clock::now();
    const auto is_enough = [&](int exchanges) {
        return exchanges >= most_exchanges ||
               (exchanges >= least_exchanges &&
                (best->bound_ns <= good_bound_ns ||
                 std::chrono::steady_clock::now() - begun > exchange_patience));
    };
    for (int exchange = 0; exchange == 0 || !is_enough(exchange); ++exchange) {
        const std::int64_t sent_ns = clock();
        send_to(handle_->comm, parent, question, deadline_);
        const ToldTime told = receive_from(handle_->comm, parent, deadline_);
        const std::int64_t round_trip_ns = clock() - sent_ns;
        const std::int64_t bound_ns = (round_trip_ns + 1) / 2 + told.bound_ns;
        if (!best || bound_ns < best->bound_ns) {
            best = {told.root_ns, sent_ns + round_trip_ns / 2 - told.root_ns, bound_ns};
        }
    }
    send_to(handle_->comm, parent, no_more, deadline_);
    return *best;
}

void Communicator::tell_time(int child, const ClockReading& own, const ClockFunction& clock) const {
    while (receive_from(handle_->comm, child, deadline_).root_ns != no_more.root_ns) {
        const std::int64_t root_ns = clock() - own.offset_ns;
        const auto age_ns = static_cast<double>(root_ns - own.time_ns);
        const auto drifted_ns =
            rank_ == 0 ? 0 : static_cast<std::int64_t>(largest_drift * std::abs(age_ns));
        send_to(handle_->comm, child, {root_ns, own.bound_ns + drifted_ns}, deadline_);
    }
}

ClockReading Communicator::read_clock(const ClockFunction& clock) const {
    ClockReading own{clock(), 0, 0};
    for (int known = 1; known < size_; known *= 2) {  // ranks below that know the time
        if (rank_ < known && rank_ + known < size_) {
            tell_time(rank_ + known, own, clock);
        } else if (rank_ >= known && rank_ < 2 * known) {
            own = ask_for_time(clock_parent(rank_), clock);
        }
    }
    return own;
}

}  // namespace layerledger
