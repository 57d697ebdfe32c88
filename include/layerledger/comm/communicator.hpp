// Ranks that talk to each other. A default-made communicator is one rank alone and needs no MPI.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "layerledger/base/error.hpp"
#include "layerledger/comm/clock_map.hpp"

namespace layerledger {

/// Every wait in the job has a deadline. This one suits the training loop.
inline constexpr std::chrono::seconds default_deadline{120};
/// And this one set-up, checkpoints and the end, in which one rank may work long while the others
/// wait: a `Heartbeat` sees to those that are gone meanwhile.
inline constexpr std::chrono::seconds setup_deadline{1800};

/// What is waited for, in the words of a message.
using NameOfWait = std::function<std::string()>;

/// An error that all ranks know of: they leave in order, and the rank that met it says why.
class AgreedError : public Error {
public:
    AgreedError(const Error& error, bool met_here) : Error(error), met_here_(met_here) {}
    [[nodiscard]] bool met_here() const noexcept { return met_here_; }

private:
    bool met_here_;
};

/// All calls are collective: every rank makes the same calls in the same order. One thread uses a
/// communicator at a time; a thread of its own takes a `duplicate`. A call that other ranks do not
/// join within the communicator's deadline throws Error{internal}.
class Communicator {
public:
    /// One rank alone.
    Communicator();
    /// All ranks of the job. Needs a live MpiSession.
    [[nodiscard]] static Communicator world();

    Communicator(Communicator&&) noexcept;
    Communicator& operator=(Communicator&&) noexcept;
    ~Communicator();

    [[nodiscard]] int rank() const noexcept { return rank_; }
    [[nodiscard]] int size() const noexcept { return size_; }
    [[nodiscard]] bool is_root() const noexcept { return rank_ == 0; }

    /// How long the calls that follow wait for other ranks; `setup_deadline` at first.
    void set_deadline(std::chrono::nanoseconds deadline) noexcept { deadline_ = deadline; }

    /// The same ranks and deadline.
    [[nodiscard]] Communicator duplicate() const;
    /// The ranks that share this rank's node, in rank order.
    [[nodiscard]] Communicator node() const;

    void barrier() const { meet(); }
    /// A barrier that polls with naps between, so that a long wait costs no processor; throws
    /// Error{internal} after `deadline`. `what` names the wait in the message.
    void barrier(std::chrono::nanoseconds deadline, const std::string& what) const;
    /// Inside an iteration, where the name is not worth making unless it is needed.
    void barrier(std::chrono::nanoseconds deadline, const NameOfWait& what) const;

    void all_reduce_sum(std::span<float> values) const;
    /// Without a copy of them: they lie in `memory`, which is left to MPI where the call gives up.
    void all_reduce_sum_in_place(std::span<float> values, std::shared_ptr<void> memory) const;
    /// The one call without a deadline: for large data, which MPI sums faster in its blocking form.
    /// Right after a `barrier`, on a thread that another one watches.
    void all_reduce_sum_unwatched(std::span<float> values) const;
    [[nodiscard]] double all_reduce_sum(double value) const;
    [[nodiscard]] std::int64_t all_reduce_sum(std::int64_t value) const;
    [[nodiscard]] std::int64_t all_reduce_max(std::int64_t value) const;
    [[nodiscard]] std::int64_t all_reduce_min(std::int64_t value) const;

    /// A maximum over all ranks that is being found while they do other work.
    class PendingMax {
    public:
        PendingMax(PendingMax&&) noexcept;
        PendingMax& operator=(PendingMax&&) = delete;
        /// Waits a moment for ranks that have not begun theirs.
        ~PendingMax();
        /// Once; within the communicator's deadline.
        [[nodiscard]] std::int64_t wait();

    private:
        friend class Communicator;
        struct State;
        explicit PendingMax(std::unique_ptr<State> state);
        std::unique_ptr<State> state_;
    };
    /// Does not wait for anyone.
    [[nodiscard]] PendingMax start_max(std::int64_t value) const;

    /// Rank 0's bytes, on every rank.
    void broadcast(std::span<std::byte> bytes) const;
    [[nodiscard]] std::string broadcast(std::string text) const;
    [[nodiscard]] std::int64_t broadcast(std::int64_t value) const;

    /// On rank 0 every rank's bytes, rank after rank; empty elsewhere. All ranks send equally many.
    [[nodiscard]] std::vector<std::byte> gather(std::span<const std::byte> bytes) const;
    /// The same for one text each, of any length.
    [[nodiscard]] std::vector<std::string> gather(const std::string& text) const;
    [[nodiscard]] std::vector<std::uint64_t> gather(std::uint64_t value) const;

    /// True on every rank if and only if `digest` is the same on all.
    [[nodiscard]] bool is_same_on_all_ranks(std::uint64_t digest) const;

    /// Runs `step` on every rank and lets no rank go on unless all succeeded: else every rank
    /// throws an AgreedError with the code of the lowest rank whose step threw, and that rank
    /// and rank 0 its message.
    void agree(const std::function<void()>& step) const;
    /// The same with `step` run on rank 0 only.
    void agree_on_root(const std::function<void()>& step) const;

    /// For ranks that fail at about the same time, not collective, from any thread: true on the
    /// first that asks, which is to say why the job ends. Does not wait for anyone.
    [[nodiscard]] bool take_last_word() const;

    /// What a roll is called for. Two calls may overlap on a rank only where they differ in it.
    enum class RollCall : std::uint8_t { after_a_wait, at_the_end };
    /// For ranks that cannot go on, not collective, from any thread: says that this one is alive,
    /// with a word of how it is, and hears for `patience` the words of others. `listeners`, the
    /// same on all ranks, learn every rank's, none where nothing was heard of one; the others learn
    /// nothing.
    [[nodiscard]] std::vector<std::optional<std::string>> call_roll(
        RollCall why, const std::string& word, std::span<const int> listeners,
        std::chrono::nanoseconds patience) const;

    /// This rank's clock against rank 0's, by ping-pong with a parent in a binary tree, all pairs
    /// of a level at once: as many rounds as the number of ranks has binary digits. The fastest
    /// exchange counts, and half its round trip is the bound; a parent's bound is added, and what
    /// its clock may have drifted since it was read.
    [[nodiscard]] ClockReading read_clock(const ClockFunction& clock = steady_clock_ns) const;

private:
    friend class Heartbeat;
    struct Handle;
    [[nodiscard]] ClockReading ask_for_time(int parent, const ClockFunction& clock) const;
    void tell_time(int child, const ClockReading& own, const ClockFunction& clock) const;
    explicit Communicator(std::unique_ptr<Handle> handle);
    /// Waits, within the deadline, until every rank is about to make the same call.
    void meet() const { barrier(deadline_, "the other ranks"); }

    std::unique_ptr<Handle> handle_;  // null: one rank alone
    int rank_ = 0;
    int size_ = 1;
    std::chrono::nanoseconds deadline_ = setup_deadline;
};

}  // namespace layerledger
