// Data-parallel training: the iteration, and the loop around it.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/data/batch_source.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/device/collective.hpp"
#include "layerledger/timeline/kernel_account.hpp"
#include "layerledger/timeline/overhead.hpp"
#include "layerledger/timeline/recorder.hpp"
#include "layerledger/train/arena.hpp"
#include "layerledger/train/checkpoint.hpp"
#include "layerledger/train/gradient_synchronizer.hpp"
#include "layerledger/train/learning_rate.hpp"
#include "layerledger/train/optimizer.hpp"
#include "layerledger/train/profile_plan.hpp"
#include "layerledger/train/whereabouts.hpp"

namespace layerledger {

/// Slows a layer of this rank on purpose: the host works as many percent longer.
struct Injection {
    LayerId layer;
    double percent = 0;
    std::optional<Phase> phase;  ///< nothing: all
};

struct TrainerOptions {
    std::int64_t iterations = 1;
    std::int64_t iterations_per_epoch = 0;  ///< 0: there are no epochs
    std::int64_t digest_every = 100;        ///< iterations between comparisons of the replicas
    std::uint64_t seed = 1;
    std::size_t bucket_floats = 6'553'600;  ///< 25 MiB
    ProfilePlan profile;
    LearningRateSchedule learning_rate;
    OptimizerStep optimizer;  ///< kind and constants
    CompileOptions compile;
    std::optional<Injection> injection;
    /// Captures an iteration's work once at every level of profiling, and launches it as a whole.
    /// Buckets start behind the backward pass then. Wants a backend that can.
    bool graph = false;
};

/// One finished iteration of this rank.
struct IterationReport {
    std::int64_t iteration = 0;
    std::int32_t epoch = 0;
    double learning_rate = 0;
    bool warmup = false;
    Level level = Level::off;
    BatchMetrics metrics;
    Account account;
};

/// Gets every iteration in order, some iterations late, inside Activity::measurement.
class IterationObserver {
public:
    virtual ~IterationObserver() = default;
    virtual void iteration_finished(const IterationReport& report) = 0;
    /// What this rank's device did in an iteration whose kernels were seen; of that iteration and
    /// the one before it the other reports tell the duration alone. On every rank, in no window.
    virtual void kernels_sampled(std::int64_t /*iteration*/, const KernelAccount& /*account*/) {}
};

/// What training stops for between two iterations: checkpoints, validation, a request to end.
/// Every rank gets the same calls and gives the same answers.
class Breaks {
public:
    virtual ~Breaks() = default;

    /// Is there a break after so many iterations? Asked after every iteration but the last, inside
    /// Activity::measurement.
    [[nodiscard]] virtual bool is_due(std::int64_t iterations_done) = 0;

    /// The break itself, in no window: the device is idle, every iteration is reported and the
    /// replicas are equal. False ends the training here.
    [[nodiscard]] virtual bool take(std::int64_t iterations_done) = 0;
};

class Trainer {
public:
    /// Compiles the network, lays out the arenas and initializes the parameters. What is passed by
    /// reference must outlive the trainer. `collective` sums over the ranks of `world`.
    Trainer(const Network& network, Backend& backend, Collective& collective,
            const Communicator& world, BatchSource& source, const TrainerOptions& options);

    /// Trains and reports up to the last iteration or a break that ends it; ends with a comparison
    /// of all ranks' parameters. What a rank cannot compute in an iteration is an AgreedError.
    void run(IterationObserver& observer, Breaks& breaks);
    /// The same without breaks.
    void run(IterationObserver& observer);

    /// Collective: what further training depends on, whole on rank 0.
    [[nodiscard]] TrainerState capture();
    /// Before `run`: goes on from a state that was captured on as many ranks, bit for bit. Its
    /// first iterations are warm-up again.
    void restore(const TrainerState& state);

    /// Those of earlier starts included.
    [[nodiscard]] std::int64_t iterations_done() const noexcept { return done_; }
    [[nodiscard]] bool is_done() const noexcept { return done_ >= options_.iterations; }

    [[nodiscard]] LayerOps& ops() noexcept { return *ops_; }
    [[nodiscard]] const std::vector<Bucket>& buckets() const noexcept {
        return synchronizer_.buckets();
    }
    [[nodiscard]] const Extents& extents() const noexcept { return extents_; }
    [[nodiscard]] const Recorder& recorder() const noexcept { return recorder_; }
    /// What `run` is at, or was when it threw. From any thread.
    [[nodiscard]] const Whereabouts& whereabouts() const noexcept { return whereabouts_; }
    /// What a break is at.
    void is_at(Doing doing) noexcept { enter(doing); }

    /// Of this rank's iterations; empty unless the plan asked for the check and it ran long enough.
    [[nodiscard]] std::optional<Overhead> overhead() const;

    /// Time between the first iteration's start and the last one's end on a clock of its own, and
    /// the pauses in it: what the sum of all windows is held against.
    struct WallClock {
        double elapsed_us = 0;
        double paused_us = 0;
    };
    [[nodiscard]] const WallClock& wall_clock() const noexcept { return wall_clock_; }

private:
    void iterate(std::int64_t iteration);
    void load_batch();
    /// Does `work`, the layer's in a phase, and what is injected there.
    template <class Work>
    void do_layer(LayerId layer, Phase phase, const Work& work);
    void compute_gradients();
    void update(std::int64_t iteration);
    /// What of an iteration becomes a graph of its own: the sums of gradients are between the two.
    enum class Part : unsigned char { gradients, update };
    /// Does `work`, or launches it where it has been captured.
    void enqueue(Part part, const std::function<void()>& work);
    /// This rank has none: tells the others, or throws where it cannot.
    void tell_of_failure();
    /// Collective: throws on every rank where one failed.
    void agree_on_failure();
    void report(const std::optional<ClosedIteration>& closed, IterationObserver& observer);
    void compare_replicas();
    /// Does `work` in no window.
    void pause(const std::function<void()>& work);
    void report_rest(IterationObserver& observer);
    void place_anchors();
    void take_sample(IterationObserver& observer);
    [[nodiscard]] StateHolders state_holders();

    const Network& network_;
    Backend& backend_;
    const Communicator& world_;
    BatchSource& source_;
    TrainerOptions options_;

    Extents extents_;
    Recorder recorder_;
    std::unique_ptr<LayerOps> ops_;
    ArenaPlan arena_;
    std::unique_ptr<Buffer> parameters_;
    std::unique_ptr<Buffer> gradients_;
    GradientSynchronizer synchronizer_;
    Optimizer optimizer_;

    std::unique_ptr<KernelWatch> kernels_;  // null below Level::kernel
    bool is_watching_ = false;
    std::vector<Mark> anchors_;
    std::optional<Account> sampled_;

    /// Where a rank failed stays its place.
    template <class... Place>
    void enter(Place... place) noexcept {
        if (!failure_) {
            whereabouts_.enter(place...);
        }
    }

    std::exception_ptr failure_;  // in an iteration; the others may not know of it yet
    Whereabouts whereabouts_;
    struct Captured {
        std::unique_ptr<WorkGraph> graph;
        std::vector<Span> spans;
    };
    std::map<std::pair<Level, Part>, Captured> captured_;
    std::int64_t capture_from_ = 0;  // an iteration

    std::int64_t done_ = 0;
    std::vector<CheckedIteration> checked_;
    WallClock wall_clock_;
};

}  // namespace layerledger
