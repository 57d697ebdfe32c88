// Ranks that cannot go on: who says so, and who is still there.
#include <algorithm>
#include <thread>

#include "communicator_handle.hpp"
#include "mpi_check.hpp"
#include "request_wait.hpp"

namespace layerledger {

using namespace std::chrono_literals;

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
    RollCall why, const std::string& word, std::span<const int> listeners,
    std::chrono::nanoseconds patience) const {
    const int tag = why == RollCall::after_a_wait ? 73 : 74;
    if (!handle_) {
        return {};
    }
    auto sent = std::make_unique<std::string>(word);
    for (const int peer : listeners) {
        if (peer != rank_) {
            MPI_Request request = MPI_REQUEST_NULL;
            LL_MPI(MPI_Isend(sent->data(), static_cast<int>(sent->size()), MPI_BYTE, peer, tag,
                             handle_->comm, &request));
            LL_MPI(MPI_Request_free(&request));
        }
    }
    static_cast<void>(sent.release());  // nobody is told when it has left; the job is about to end
    std::vector<std::optional<std::string>> words;
    if (std::ranges::find(listeners, rank_) != listeners.end()) {
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

}  // namespace layerledger
