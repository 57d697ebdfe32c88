#include "staged_collective.hpp"

#include <array>
#include <map>
#include <memory>
#include <vector>

#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
namespace {

/// A bucket's place in the host's memory, and the event behind its copy there.
struct Stage {
    explicit Stage(std::size_t floats) : memory(floats * sizeof(float)) {}
    PinnedMemory memory;
    Event copied;
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

/// Gradients go to the host under the backward pass; `join` sums them there, one bucket after the
/// other. Where NCCL cannot be had, and what NCCL's sums are held against.
class StagedCollective final : public Collective {
public:
    StagedCollective(Gpu& gpu, const Communicator& world, const CollectiveOptions& options)
        : gpu_(gpu), world_(world.duplicate()), options_(options), stream_(true) {
        world_.set_deadline(options.deadline);
    }

    [[nodiscard]] const char* name() const noexcept override { return "mpi"; }

    // The sum is in the host's memory anyway; read late, as no copy to the device is waited for.
    [[nodiscard]] Votes votes() const noexcept override { return Votes::late; }
    void send_vote(DeviceSpan, std::size_t slot) override { slot_ = slot; }
    [[nodiscard]] float vote(std::size_t slot) const override { return received_[slot]; }

    void start(BucketId id, DeviceSpan values, BucketSpan& span) override {
        started_.push_back({id, values, &span});
        if (options_.overlap) {
            fetch(started_.back());
        }
    }

    void join() override {
        if (!options_.overlap) {
            for (const Bucket& bucket : started_) {
                fetch(bucket);
            }
        }
        for (const Bucket& bucket : started_) {
            sum(bucket);
        }
        if (!started_.empty()) {
            const Bucket& last = started_.back();
            received_[slot_] = stage_of(last)->memory.as<float>()[last.values.size - 1];
        }
        started_.clear();
        joined_.record(stream_);
        joined_.hold(gpu_.compute());
    }

private:
    const std::shared_ptr<Stage>& stage_of(const Bucket& bucket) {
        std::shared_ptr<Stage>& stage = stages_[bucket.id.value];
        if (!stage) {
            stage = std::make_shared<Stage>(bucket.values.size);
        }
        return stage;
    }

    void fetch(const Bucket& bucket) {
        const Stage& stage = *stage_of(bucket);
        ready_.record(gpu_.compute());
        ready_.hold(stream_);
        LL_CUDA(cudaMemcpyAsync(stage.memory.as<float>(), bucket.values.data,
                                bucket.values.size * sizeof(float), cudaMemcpyDeviceToHost,
                                stream_.get()));
        stage.copied.record(stream_);
    }

    // Nothing else is on the stream when a bucket is marked, so that the device notes the moment at
    // which the host gets there.
    void sum(const Bucket& bucket) {
        const std::shared_ptr<Stage>& kept = stage_of(bucket);
        const Stage& stage = *kept;
        stage.copied.synchronize();
        if (bucket.span->is_wanted) {
            bucket.span->start = gpu_.marks().mark_on(stream_);
        }
        world_.barrier(options_.deadline, [&bucket] { return named(bucket); });
        if (bucket.span->is_wanted) {
            bucket.span->transfer = gpu_.marks().mark_on(stream_);
        }
        world_.all_reduce_sum_in_place({stage.memory.as<float>(), bucket.values.size}, kept);
        LL_CUDA(cudaMemcpyAsync(bucket.values.data, stage.memory.as<float>(),
                                bucket.values.size * sizeof(float), cudaMemcpyHostToDevice,
                                stream_.get()));
        if (bucket.span->is_wanted) {
            bucket.span->end = gpu_.marks().mark_on(stream_);
        }
    }

    Gpu& gpu_;
    Communicator world_;
    const CollectiveOptions options_;
    Stream stream_;
    Event ready_;
    Event joined_;
    std::map<std::int32_t, std::shared_ptr<Stage>> stages_;
    std::vector<Bucket> started_;
    std::size_t slot_ = 0;
    std::array<float, Collective::vote_slots> received_{};
};

}  // namespace

std::unique_ptr<Collective> make_staged_collective(Gpu& gpu, const Communicator& world,
                                                   const CollectiveOptions& options) {
    return std::make_unique<StagedCollective>(gpu, world, options);
}

}  // namespace layerledger::cuda
