#include "nccl_collective.hpp"

#include <array>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/base/waited.hpp"
#include "nccl_communicator.hpp"
#include "sum_failure.hpp"

namespace layerledger::cuda {
namespace {

constexpr std::chrono::milliseconds watch_every{100};
constexpr std::chrono::nanoseconds longest_look = 2 * watch_every;
/// How long the training thread may take to see that the sums have ended in failure: longer than
/// the program needs to ask for lost ranks and to close its files where it fails for another
/// reason.
constexpr std::chrono::seconds grace{40};

struct Bucket {
    BucketId id;
    DeviceSpan values;
    BucketSpan* span;
};

/// A sum that is on its way, and the event behind it.
struct Outstanding {
    BucketId bucket;
    std::size_t bytes = 0;
    std::int64_t iteration = 0;
    Event end;
};

std::string named(BucketId bucket, std::size_t bytes, std::int64_t iteration) {
    return text("the all-reduce of gradient bucket ", bucket.value, " (",
                bytes_text(static_cast<double>(bytes)), ") in iteration ", iteration);
}

/// A number that goes to the host behind the sums.
struct Sending {
    DeviceSpan vote;
    std::size_t slot = 0;
};

/// Sums on a stream of its own, which the device prefers. A sum has no deadline in NCCL, so that a
/// second thread watches, and ends them all where one does not come.
///
/// Where somebody asks when a sum was made, it follows one of a single number, behind which all
/// ranks are there: what a rank waits for the slowest is told apart from the transfer.
class NcclCollective final : public Collective {
public:
    NcclCollective(Gpu& gpu, const RankMap& rank, const Communicator& world,
                   const CollectiveOptions& options)
        : gpu_(gpu),
          who_(text("rank ", world.rank(), " on ", rank.host)),
          options_(options),
          stream_(true),
          token_(sizeof(float)),
          received_(Collective::vote_slots * sizeof(float)),
          nccl_(world, rank, shares_gpu(world, gpu), options.deadline) {
        // NCCL connects the ranks when the first sum asks for it: now, outside every iteration.
        nccl_.all_reduce_sum({token_.as<float>(), 1}, stream_.get(),
                             [] { return "the first all-reduce"; });
        watch_sum({}, sizeof(float));
        watchdog_ = std::thread([this] { watch(); });
    }

    NcclCollective(const NcclCollective&) = delete;
    NcclCollective& operator=(const NcclCollective&) = delete;

    ~NcclCollective() override {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        watchdog_.join();
        reap();
        if (!outstanding_.empty()) {
            nccl_.abort();  // this rank is failing: the others will not come
        }
    }

    [[nodiscard]] const char* name() const noexcept override { return "nccl"; }

    // On the sums' stream, and behind what `join` holds the compute stream for: nothing that
    // computes waits for the number on its way.
    [[nodiscard]] Votes votes() const noexcept override { return Votes::late; }
    void send_vote(DeviceSpan vote, std::size_t slot) override { sending_ = {vote, slot}; }
    [[nodiscard]] float vote(std::size_t slot) const override {
        sent_[slot].synchronize();
        return received_.as<float>()[slot];
    }

    void start(BucketId id, DeviceSpan values, BucketSpan& span) override {
        held_.push_back({id, values, &span});
        if (options_.overlap) {
            enqueue_held();
        }
    }

    void count_from(std::int64_t iteration) override {
        const std::lock_guard lock(mutex_);
        iteration_ = iteration;
    }

    void join() override {
        enqueue_held();
        joined_.record(stream_);
        joined_.hold(gpu_.compute());
        if (const auto sending = std::exchange(sending_, std::nullopt)) {
            LL_CUDA(cudaMemcpyAsync(received_.as<float>() + sending->slot, sending->vote.data,
                                    sizeof(float), cudaMemcpyDeviceToHost, stream_.get()));
            sent_[sending->slot].record(stream_);
        }
        const std::lock_guard lock(mutex_);
        ++iteration_;
    }

private:
    /// The same answer on all ranks; NCCL only minds those that share.
    static bool shares_gpu(const Communicator& world, const Gpu& gpu) {
        return world.all_reduce_max(std::int64_t{gpu.sharers() > 1 ? 1 : 0}) != 0;
    }

    void enqueue_held() {
        if (held_.empty()) {
            return;
        }
        // Held sums have the newest gradients before them; so has each that is started at once.
        ready_.record(gpu_.compute());
        ready_.hold(stream_);
        const std::lock_guard lock(mutex_);
        try {
            if (failure_) {
                failure_->raise();
            }
            for (const Bucket& bucket : held_) {
                enqueue(bucket);
            }
        } catch (const Error& error) {
            // From here on it is the caller's, who says it and ends the job.
            noticed_ = true;
            changed_.notify_all();
            held_.clear();
            if (!failure_) {
                failure_ = {error.what(), dynamic_cast<const DeadlineError*>(&error) != nullptr};
            }
            throw;
        }
        held_.clear();
    }

    void enqueue(const Bucket& bucket) {
        const auto what = [&] { return named(bucket.id, bytes_of(bucket), iteration_); };
        BucketSpan& span = *bucket.span;
        if (span.is_wanted) {
            span.start = gpu_.marks().mark_on(stream_);
            nccl_.all_reduce_sum({token_.as<float>(), 1}, stream_.get(), what);
            span.transfer = gpu_.marks().mark_on(stream_);
        }
        nccl_.all_reduce_sum(bucket.values, stream_.get(), what);
        if (span.is_wanted) {
            span.end = gpu_.marks().mark_on(stream_);
        }
        watch_sum(bucket.id, bytes_of(bucket));
    }

    static std::size_t bytes_of(const Bucket& bucket) { return bucket.values.size * sizeof(float); }

    void watch_sum(BucketId bucket, std::size_t bytes) {
        reap();
        if (outstanding_.empty()) {
            front_waited_ = Waited(longest_look);
        }
        outstanding_.push_back({bucket, bytes, iteration_, take_event()});
        outstanding_.back().end.record(stream_);
    }

    Event take_event() {
        if (spare_.empty()) {
            return Event();
        }
        Event event = std::move(spare_.back());
        spare_.pop_back();
        return event;
    }

    /// Forgets the sums that are there.
    void reap() {
        while (!outstanding_.empty() &&
               cudaEventQuery(outstanding_.front().end.get()) == cudaSuccess) {
            spare_.push_back(std::move(outstanding_.front().end));
            outstanding_.pop_front();
            front_waited_ = Waited(longest_look);
        }
    }

    void watch() {
        gpu_.use();
        std::unique_lock lock(mutex_);
        while (!changed_.wait_for(lock, watch_every, [this] { return stopping_ || noticed_; })) {
            reap();
            const ReportedFault fault = nccl_.fault();
            const bool late = !outstanding_.empty() && front_waited_.look() > options_.deadline;
            if (fault.reason.empty() && !late) {
                continue;
            }
            const std::string what =
                outstanding_.empty()
                    ? text("the all-reduce after iteration ", iteration_)
                    : named(outstanding_.front().bucket, outstanding_.front().bytes,
                            outstanding_.front().iteration);
            failure_ = fault.reason.empty() ? sum_is_late(who_, what, options_.deadline)
                                            : sum_is_broken(who_, what, fault);
            nccl_.abort();  // the kernels end, and with them every wait for the device
            if (!changed_.wait_for(lock, grace, [this] { return stopping_ || noticed_; })) {
                log::error(failure_->message);
                std::_Exit(static_cast<int>(ExitCode::internal));
            }
            return;
        }
    }

    Gpu& gpu_;
    const std::string who_;
    const CollectiveOptions options_;
    Stream stream_;
    Event ready_;
    Event joined_;
    DeviceMemory token_;
    std::optional<Sending> sending_;
    PinnedMemory received_;  // a number for each slot
    std::array<Event, Collective::vote_slots> sent_;
    std::vector<Bucket> held_;  // not enqueued yet

    // Under the mutex.
    std::mutex mutex_;
    std::condition_variable changed_;
    NcclCommunicator nccl_;
    std::deque<Outstanding> outstanding_;  // in the order of the stream
    std::vector<Event> spare_;
    Waited front_waited_;  // since the front one is the front one
    std::int64_t iteration_ = 0;
    std::optional<SumFailure> failure_;
    bool noticed_ = false;
    bool stopping_ = false;

    std::thread watchdog_;
};

}  // namespace

std::unique_ptr<Collective> make_nccl_collective(Gpu& gpu, const RankMap& rank,
                                                 const Communicator& world,
                                                 const CollectiveOptions& options) {
    return std::make_unique<NcclCollective>(gpu, rank, world, options);
}

}  // namespace layerledger::cuda
