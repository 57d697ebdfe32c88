#include "layerledger/comm/heartbeat.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "communicator_handle.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/base/waited.hpp"
#include "mpi_check.hpp"

namespace layerledger {

using namespace std::chrono_literals;

namespace {

constexpr int tag = 75;

/// Between two signs, of which some may be late on a busy machine.
std::chrono::nanoseconds interval(const Heartbeat::Orders& orders) {
    return std::clamp<std::chrono::nanoseconds>(orders.deadline / 20, 20ms, 5s);
}

struct Peer {
    int rank = 0;
    Waited silence;
    std::uint64_t heard = 0;
    std::uint64_t said = 0;
    MPI_Request sending = MPI_REQUEST_NULL;
};

}  // namespace

class Heartbeat::Beating {
public:
    Beating(const Communicator& world, MPI_Comm comm, Orders orders)
        : comm_(comm), orders_(std::move(orders)) {
        for (int rank = world.is_root() ? 1 : 0; rank < (world.is_root() ? world.size() : 1);
             ++rank) {
            peers_->emplace_back().rank = rank;
        }
        thread_ = std::thread([this] { beat(); });
    }
    Beating(const Beating&) = delete;
    Beating& operator=(const Beating&) = delete;
    ~Beating() {
        {
            const std::lock_guard lock(mutex_);
            is_over_ = true;
        }
        changed_.notify_all();
        thread_.join();
        const bool is_said = std::ranges::all_of(
            *peers_, [](const Peer& peer) { return peer.sending == MPI_REQUEST_NULL; });
        if (!is_said) {
            static_cast<void>(peers_.release());  // MPI still reads from it
        }
    }

    [[nodiscard]] Orders change(Orders orders) {
        const std::lock_guard lock(mutex_);
        listen_anew(orders);
        return std::exchange(orders_, std::move(orders));
    }

private:
    void beat() {
        std::unique_lock lock(mutex_);
        listen_anew(orders_);
        while (!changed_.wait_for(lock, interval(orders_), [this] { return is_over_; })) {
            const std::optional<std::uint64_t> word = orders_.word();
            if (!word) {
                listen_anew(orders_);
                continue;
            }
            try {
                say(*word);
                listen();
            } catch (const std::exception& problem) {
                log::warning(
                    text("no signs of life between ranks any more (", problem.what(), ")"));
                return;
            }
            std::vector<Silent> silent;
            for (Peer& peer : *peers_) {
                if (peer.silence.look() > orders_.deadline) {
                    silent.push_back({peer.rank, peer.heard});
                }
            }
            if (!silent.empty()) {
                orders_.when_silent(silent);
                return;
            }
        }
    }

    void listen_anew(const Orders& orders) {
        for (Peer& peer : *peers_) {
            peer.silence = Waited(4 * interval(orders));
        }
    }

    /// A sign that has not left yet is sign enough.
    void say(std::uint64_t word) {
        for (Peer& peer : *peers_) {
            int has_left = 1;
            LL_MPI(MPI_Test(&peer.sending, &has_left, MPI_STATUS_IGNORE));
            if (has_left != 0) {
                peer.said = word;
                LL_MPI(
                    MPI_Isend(&peer.said, 1, MPI_UINT64_T, peer.rank, tag, comm_, &peer.sending));
                LL_MPI(MPI_Test(&peer.sending, &has_left, MPI_STATUS_IGNORE));
            }
        }
    }

    void listen() {
        for (Peer& peer : *peers_) {
            for (;;) {
                int is_here = 0;
                LL_MPI(MPI_Iprobe(peer.rank, tag, comm_, &is_here, MPI_STATUS_IGNORE));
                if (is_here == 0) {
                    break;
                }
                LL_MPI(MPI_Recv(&peer.heard, 1, MPI_UINT64_T, peer.rank, tag, comm_,
                                MPI_STATUS_IGNORE));
                peer.silence = Waited(4 * interval(orders_));
            }
        }
    }

    MPI_Comm comm_;
    std::unique_ptr<std::vector<Peer>> peers_ = std::make_unique<std::vector<Peer>>();
    std::mutex mutex_;
    std::condition_variable changed_;
    bool is_over_ = false;
    Orders orders_;
    std::thread thread_;
};

Heartbeat::Heartbeat(const Communicator& world, Orders orders) {
    if (world.size() > 1) {
        beating_ = std::make_unique<Beating>(world, world.handle_->comm, std::move(orders));
    }
}

Heartbeat::~Heartbeat() = default;

Heartbeat::Change::Change(Heartbeat& heartbeat, Orders orders) : heartbeat_(heartbeat) {
    if (heartbeat_.beating_) {
        before_ = heartbeat_.beating_->change(std::move(orders));
    }
}

Heartbeat::Change::~Change() {
    if (heartbeat_.beating_) {
        static_cast<void>(heartbeat_.beating_->change(std::move(before_)));
    }
}

}  // namespace layerledger
