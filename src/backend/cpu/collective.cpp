#include "layerledger/device/collective.hpp"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "layerledger/backend/cpu.hpp"
#include "layerledger/base/text.hpp"

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
void sum(const Communicator& world, const Bucket& bucket, std::chrono::nanoseconds deadline) {
    bucket.span->start = now_ns();
    world.barrier(deadline, named(bucket));
    bucket.span->transfer = now_ns();
    world.all_reduce_sum({bucket.values.data, bucket.values.size});
    bucket.span->end = now_ns();
}

/// Everything after backward: the reference to measure overlap against.
class SerialCollective final : public Collective {
public:
    SerialCollective(Communicator world, std::chrono::nanoseconds deadline)
        : world_(std::move(world)), deadline_(deadline) {}

    [[nodiscard]] const char* name() const noexcept override { return "mpi"; }
    void start(BucketId id, DeviceSpan values, BucketSpan& span) override {
        started_.push_back({id, values, &span});
    }
    void join() override {
        for (const Bucket& bucket : started_) {
            sum(world_, bucket, deadline_);
        }
        started_.clear();
    }

private:
    Communicator world_;
    std::chrono::nanoseconds deadline_;
    std::vector<Bucket> started_;
};

/// A communication thread sums buckets while the caller computes the next layers' gradients.
class OverlappedCollective final : public Collective {
public:
    OverlappedCollective(Communicator world, std::chrono::nanoseconds deadline)
        : shared_(std::make_shared<Shared>(std::move(world), deadline)),
          thread_([shared = shared_] { shared->serve(); }) {}

    ~OverlappedCollective() override {
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

    void start(BucketId id, DeviceSpan values, BucketSpan& span) override {
        {
            const std::lock_guard lock(shared_->mutex);
            shared_->queue.push_back({id, values, &span});
        }
        shared_->changed.notify_all();
    }

    void join() override {
        std::unique_lock lock(shared_->mutex);
        const auto done = [this] { return shared_->queue.empty() || shared_->failure != nullptr; };
        // The thread keeps the deadline itself while it waits for other ranks. Twice as long means
        // that a transfer which had begun never ends.
        while (!done()) {
            const std::size_t left = shared_->queue.size();
            if (!shared_->changed.wait_for(lock, 2 * shared_->deadline, [&] {
                    return done() || shared_->queue.size() < left;
                })) {
                throw Error(ExitCode::internal,
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
                    sum(world, bucket, deadline);
                } catch (...) {
                    problem = std::current_exception();
                }
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
    };

    std::shared_ptr<Shared> shared_;
    
    std::thread thread_;
};

}  // namespace

std::unique_ptr<Collective> make_collective(const Communicator& world,
                                            const CollectiveOptions& options) {
    if (world.size() == 1) {
        return std::make_unique<NoCollective>();
    }
    if (!options.overlap) {
        return std::make_unique<SerialCollective>(world.duplicate(), options.deadline);
    }
    return std::make_unique<OverlappedCollective>(world.duplicate(), options.deadline);
}

}  // namespace layerledger::cpu
