// A rank's clock against rank 0's, by ping-pong.
#include <cstdlib>
#include <optional>

#include "communicator_handle.hpp"
#include "layerledger/base/text.hpp"
#include "mpi_check.hpp"
#include "request_wait.hpp"

namespace layerledger {
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
