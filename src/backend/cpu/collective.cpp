#include "layerledger/device/collective.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "layerledger/backend/cpu.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/base/waited.hpp"

namespace layerledger::cpu {
namespace {

Mark now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/// One rank alone: every sum is there at once.
class NoCollective final : public Collective {
public:
    [[nodiscard]] const char* name() const noexcept override { return "none"; }
    [[nodiscard]] Votes votes() const noexcept override { return Votes::at_once; }
    void start(BucketId, DeviceSpan, BucketSpan& span) override {
        span.start = span.transfer = span.end = span.ready;
    }
    void join() override {}
};

struct Bucket {
    BucketId id;
    DeviceSpan values;
    BucketSpan* span;
};

std::string named(const Bucket& bucket) {
    return text("the all-reduce of gradient bucket ", bucket.id.value, " (",
                bytes_text(static_cast<double>(bucket.values.size * sizeof(float))), ")");
}

/// Sums one bucket and notes its life. Entering and transfer are told apart by a barrier: while it
/// lasts this rank waits for the slowest, what follows is transfer.
void sum(const Communicator& world, const Bucket& bucket, std::chrono::nanoseconds deadline,
         std::atomic<std::int64_t>& steps) {
    bucket.span->start = now_ns();
    world.barrier(deadline, [&bucket] { return named(bucket); });
    ++steps;
    bucket.span->transfer = now_ns();
    world.all_reduce_sum_unwatched({bucket.values.data, bucket.values.size});
    bucket.span->end = now_ns();
}

/// A communication thread sums buckets, either while the caller computes the next layers' gradients
/// or, as the reference to measure that against, all after backward. Also then it is a thread of
/// its own: MPI's fastest sum cannot be given up, so that somebody else has to keep its deadline.
class ThreadCollective final : public Collective {
public:
    ThreadCollective(Communicator world, const CollectiveOptions& options)
        : overlap_(options.overlap),
          shared_(std::make_shared<Shared>(std::move(world), options.deadline)),
          thread_([shared = shared_] { shared->serve(); }) {}

    ~ThreadCollective() override {
        bool under_way = false;
        {
            const std::lock_guard lock(shared_->mutex);
            shared_->stopping = true;
            under_way = !shared_->queue.empty();
        }
        shared_->changed.notify_all();
        if (under_way) {
            // Something failed while a bucket was on its way, and its call may never return. The
            // job is about to be aborted; the thread keeps its share of the state alive.
            thread_.detach();
        } else {
            thread_.join();
        }
    }

    [[nodiscard]] const char* name() const noexcept override { return "mpi"; }
    [[nodiscard]] Votes votes() const noexcept override { return Votes::at_once; }

    void start(BucketId id, DeviceSpan values, BucketSpan& span) override {
        held_.push_back({id, values, &span});
        if (overlap_) {
            hand_over();
        }
    }

    void join() override {
        hand_over();
        std::unique_lock lock(shared_->mutex);
        const auto done = [this] { return shared_->queue.empty() || shared_->failure != nullptr; };
        // The thread keeps the deadline itself while it waits for other ranks. That it takes no
        // step for somewhat longer means that a transfer which had begun never ends.
        const std::chrono::nanoseconds limit = shared_->deadline + shared_->deadline / 20 + look;
        std::int64_t steps = shared_->steps;
        for (Waited waited; !shared_->changed.wait_for(lock, look, done);) {
            if (steps != shared_->steps) {
                steps = shared_->steps;
                waited = Waited();
            } else if (waited.look() > limit) {
                throw DeadlineError(
                    ExitCode::internal,
                    text(named(shared_->queue.front()),
                         " began and did not end (a rank or its node was lost on the way) "
                         "look at the log of the other ranks"));
            }
        }
        if (shared_->failure != nullptr) {
            std::rethrow_exception(shared_->failure);
        }
    }

private:
    void hand_over() {
        {
            const std::lock_guard lock(shared_->mutex);
            shared_->queue.insert(shared_->queue.end(), held_.begin(), held_.end());
        }
        held_.clear();
        shared_->changed.notify_all();
    }

    struct Shared {
        Shared(Communicator w, std::chrono::nanoseconds d) : world(std::move(w)), deadline(d) {}

        void serve() {
            std::unique_lock lock(mutex);
            for (;;) {
                changed.wait(lock, [this] { return stopping || !queue.empty(); });
                if (stopping) {
                    return;
                }
                const Bucket bucket = queue.front();
                lock.unlock();
                std::exception_ptr problem;
                try {
                    sum(world, bucket, deadline, steps);
                } catch (...) {
                    problem = std::current_exception();
                }
                ++steps;
                lock.lock();
                queue.pop_front();
                if (problem != nullptr) {
                    failure = problem;
                    stopping = true;
                }
                changed.notify_all();
            }
        }

        Communicator world;
        const std::chrono::nanoseconds deadline;
        std::mutex mutex;
        std::condition_variable changed;
        std::deque<Bucket> queue;  // the front one is being summed
        std::exception_ptr failure;
        bool stopping = false;
        std::atomic<std::int64_t> steps{0};  // two for each bucket: ranks are there, it is summed
    };

    static constexpr std::chrono::milliseconds look{100};

    const bool overlap_;
    std::vector<Bucket> held_;  // not handed over yet
    std::shared_ptr<Shared> shared_;
    std::thread thread_;
};

}  // namespace

std::unique_ptr<Collective> make_collective(const Communicator& world,
                                            const CollectiveOptions& options) {
    if (world.size() == 1) {
        return std::make_unique<NoCollective>();
    }
    return std::make_unique<ThreadCollective>(world.duplicate(), options);
}

}  // namespace layerledger::cpu
