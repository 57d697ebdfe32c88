#include "rendezvous.hpp"

#include <mpi.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "launch.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/base/waited.hpp"
#include "layerledger/comm/mpi_session.hpp"
#include "layerledger/comm/rank_map.hpp"
#include "mpi_check.hpp"
#include "request_wait.hpp"

namespace layerledger {
namespace {

using namespace std::chrono_literals;

/// By which ranks of a node know that another one is at its start too.
constexpr const char* thread_name = "ll-rendezvous";
constexpr auto look_every = 50ms;
/// Whoever misses someone speaks first, and those who only wait for these later.
constexpr auto precedence = 3s;
/// The lowest rank speaks first; what it says and what others say of the same is to be read before
/// the launcher ends them all.
constexpr auto turn = 250ms;
constexpr int most_turns = 20;
constexpr auto last_words = 1500ms;
constexpr std::size_t most_named = 8;

std::set<int> partners_of(int rank, int size) {
    std::set<int> partners;
    for (int distance = 1; distance < size; distance *= 2) {
        partners.insert((rank + distance) % size);
        partners.insert((rank - distance + size) % size);
    }
    return partners;
}

template <class Items, class Shown>
std::string listed(const Items& items, const Shown& shown) {
    std::string all;
    std::size_t count = 0;
    for (const auto& item : items) {
        if (count++ < most_named) {
            all += text(all.empty() ? "" : ", ", shown(item));
        }
    }
    return count > most_named ? text(all, " and ", count - most_named, " more") : all;
}

/// "10.0.0.1 does not answer 10.0.0.2 (eth0)".
std::string unanswered_text(const std::set<Connection>& attempts,
                            const std::vector<Interface>& interfaces) {
    std::set<std::pair<std::string, std::string>> pairs;  // without ports
    for (const Connection& attempt : attempts) {
        pairs.emplace(attempt.remote, attempt.local);
    }
    return listed(pairs, [&](const auto& pair) {
        return text(pair.first, " does not answer ", with_interface(pair.second, interfaces));
    });
}

/// Where this node's daemon of the launcher, whose child a rank is, has others.
std::string launcher_connections(const std::vector<Interface>& interfaces) {
    std::set<std::pair<std::string, std::string>> pairs;
    for (const Connection& one : leaving_the_node(connections_of(getppid()), interfaces)) {
        pairs.emplace(one.remote, one.local);
    }
    const std::string connected = listed(pairs, [&](const auto& pair) {
        return text(with_interface(pair.second, interfaces), " to ", pair.first);
    });
    return connected.empty() ? launcher_text()
                             : text("the launcher's connections lead from ", connected);
}

}  // namespace

Rendezvous::Rendezvous(std::chrono::nanoseconds deadline)
    : deadline_(deadline), rank_(launched_rank()), thread_([this] { watch(); }) {}

Rendezvous::~Rendezvous() {
    {
        const std::lock_guard lock(mutex_);
        stage_ = Stage::over;
    }
    changed_.notify_all();
    thread_.join();
}

void Rendezvous::meet() {
    constexpr int tag = 70;
    int rank = 0;
    int size = 1;
    LL_MPI(MPI_Comm_rank(MPI_COMM_WORLD, &rank));
    LL_MPI(MPI_Comm_size(MPI_COMM_WORLD, &size));
    std::set<int> missing = partners_of(rank, size);
    {
        const std::lock_guard lock(mutex_);
        rank_ = rank;
        missing_ = missing;
        stage_ = Stage::meeting;
    }
    const std::vector<int> partners(missing.begin(), missing.end());
    std::vector<MPI_Request> requests(2 * partners.size(), MPI_REQUEST_NULL);
    for (std::size_t i = 0; i < partners.size(); ++i) {
        const int peer = partners[i];
        int status = MPI_Irecv(nullptr, 0, MPI_BYTE, peer, tag, MPI_COMM_WORLD, &requests[2 * i]);
        if (status == MPI_SUCCESS) {
            status =
                MPI_Isend(nullptr, 0, MPI_BYTE, peer, tag, MPI_COMM_WORLD, &requests[2 * i + 1]);
        }
        if (status != MPI_SUCCESS) {
            std::unique_lock lock(mutex_);
            missing_ = {peer};
            has_way_ = false;
            give_up(lock);
        }
    }
    Waited waited;
    while (!missing.empty()) {  // the watching thread has the deadline
        bool is_news = false;
        for (std::size_t i = 0; i < partners.size(); ++i) {
            int is_done = 0;
            LL_MPI(MPI_Testall(2, &requests[2 * i], &is_done, MPI_STATUSES_IGNORE));
            is_news = (is_done != 0 && missing.erase(partners[i]) > 0) || is_news;
        }
        if (is_news) {
            const std::lock_guard lock(mutex_);
            missing_ = missing;
        } else {
            nap(waited.look(), spin_after_meeting);
        }
    }
    {
        const std::lock_guard lock(mutex_);
        stage_ = Stage::assembling;
    }
    MPI_Request request = MPI_REQUEST_NULL;
    LL_MPI(MPI_Ibarrier(MPI_COMM_WORLD, &request));
    wait_for(request, std::chrono::nanoseconds::max(), the_others);
}

void Rendezvous::watch() {
    pthread_setname_np(pthread_self(), thread_name);
    Waited waited;
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, look_every, [this] { return stage_ == Stage::over; })) {
        if (stage_ == Stage::meeting) {
            for (const Connection& connection : own_connections()) {
                if (!connection.is_established) {
                    attempts_.insert(connection);
                }
            }
        }
        const std::chrono::nanoseconds time = waited.look();
        if (time <= deadline_) {
            continue;
        }
        if (stage_ == Stage::starting && late_.empty()) {
            late_ = siblings_without_thread(thread_name);
        }
        const bool misses_someone = stage_ == Stage::meeting || !late_.empty();
        if (misses_someone || time > deadline_ + precedence) {
            give_up(lock);
        }
    }
}

std::string Rendezvous::problem() const {
    const std::vector<Interface> interfaces = node_interfaces();
    const std::string within =
        text(" within ", duration_text(std::chrono::duration<double>(deadline_).count()));
    const std::string here = text("; this node has ", interfaces_text(interfaces), ", ");
    const std::string last_resort = ", or raise sync.rendezvous_seconds";
    const auto itself = [](const std::string& word) { return word; };
    if (stage_ == Stage::starting) {
        const std::string launcher = launcher_connections(interfaces);
        return text("MPI did not start", within, " (",
                    late_.empty() ? std::string("a rank has not come to it, or the launcher's "
                                                "daemons do not reach each other")
                                  : text(listed(late_, itself), " has not come to it"),
                    launcher.empty() ? "" : "; ", launcher, here,
                    mpi_parameter_text("oob_tcp_if_include"),
                    ") look at the ranks that are not there and at the network between the nodes",
                    last_resort);
    }
    if (stage_ == Stage::meeting) {
        std::string why = unanswered_text(attempts_, interfaces);
        if (!has_way_) {
            why = "MPI finds no way to it";
        } else if (why.empty()) {
            why =
                "nothing is on its way to it: it stands still, or its address is also this node's, "
                "as bridges' are: docker0, virbr0";
        }
        return text(
            "no word of ", listed(missing_, [](int rank) { return text("rank ", rank); }),
            has_way_ ? within : "", " (", why, here, mpi_parameter_text("btl_tcp_if_include"),
            ") choose the network between the nodes with mpirun --mca btl_tcp_if_include or "
            "OMPI_MCA_btl_tcp_if_include",
            last_resort);
    }
    return text("some of the other ranks have not met", within,
                " (they do not reach each other) look at what they say", last_resort);
}

void Rendezvous::give_up(std::unique_lock<std::mutex>& lock) {
    const std::string who = rank_ < 0 ? std::string("a rank") : text("rank ", rank_);
    const std::string what = text(who, " on ", node_name(), ": ", problem());
    lock.unlock();  // whoever has met after all may end
    std::this_thread::sleep_for(std::clamp(rank_, 0, most_turns) * turn);
    if (!is_first_of_node()) {
        std::this_thread::sleep_for(2 * last_words);  // that one says the same
    }
    log::error(what);
    std::this_thread::sleep_for(last_words);
    abort_job(ExitCode::unavailable);
}

}  // namespace layerledger
