// The ranks' first meeting: MPI's start and a word between all that will talk to each other. Where
// that does not come about, a thread of its own says who is missing, between which addresses, and
// ends the process: MPI itself would wait for ever.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "layerledger/comm/connections.hpp"

namespace layerledger {

class Rendezvous {
public:
    /// Before MPI_Init. The time counts from here.
    explicit Rendezvous(std::chrono::nanoseconds deadline);
    Rendezvous(const Rendezvous&) = delete;
    Rendezvous& operator=(const Rendezvous&) = delete;
    /// The watch ends.
    ~Rendezvous();

    /// Once, after MPI_Init; collective. Each rank hears a word of those at distances 1, 2, 4, ...
    /// in both directions: neighbours in a ring and in every tree.
    void meet();

private:
    enum class Stage {
        starting,    ///< MPI_Init
        meeting,     ///< words of partners
        assembling,  ///< those have come, and the others wait for theirs
        over
    };

    void watch();
    /// What has come to its deadline; the lock is held.
    [[nodiscard]] std::string problem() const;
    /// Says it and ends the job.
    [[noreturn]] void give_up(std::unique_lock<std::mutex>& lock);

    std::chrono::nanoseconds deadline_;
    std::mutex mutex_;
    std::condition_variable changed_;
    // Under the mutex.
    Stage stage_ = Stage::starting;
    int rank_;
    std::vector<std::string> late_;  ///< ranks of this node that have not come to MPI_Init
    std::set<int> missing_;          ///< partners whose word has not come
    bool has_way_ = true;            ///< false: MPI knows none to a partner
    std::set<Connection> attempts_;  ///< that were not answered when they were looked at
    std::thread thread_;
};

}  // namespace layerledger
