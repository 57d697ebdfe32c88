// Signs of life, for times in which one rank may work long while the others wait for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "layerledger/comm/communicator.hpp"

namespace layerledger {

/// Rank 0 gives a sign to every other rank and every other rank gives one to it, from a thread that
/// goes on beating whatever the rank's own does. A process that is lost, stopped or cut off is
/// silent; one that works is not. One at a time for a communicator, which must outlive it.
class Heartbeat {
public:
    struct Silent {
        int rank = 0;
        std::uint64_t word = 0;  ///< that came with its last sign, at first 0
    };
    struct Orders {
        std::chrono::nanoseconds deadline{};
        /// Goes with this rank's signs; nothing while waits for other ranks have deadlines of their
        /// own, and signs are neither given nor missed.
        std::function<std::optional<std::uint64_t>()> word;
        /// Of these nothing was heard for the deadline. Called once.
        std::function<void(const std::vector<Silent>&)> when_silent;
    };

    Heartbeat(const Communicator& world, Orders orders);
    ~Heartbeat();
    Heartbeat(const Heartbeat&) = delete;
    Heartbeat& operator=(const Heartbeat&) = delete;

    /// Other orders for as long as this lives.
    class Change {
    public:
        Change(Heartbeat& heartbeat, Orders orders);
        ~Change();
        Change(const Change&) = delete;
        Change& operator=(const Change&) = delete;

    private:
        Heartbeat& heartbeat_;
        Orders before_;
    };

private:
    class Beating;
    std::unique_ptr<Beating> beating_;  // null on a rank that is alone
};

}  // namespace layerledger
