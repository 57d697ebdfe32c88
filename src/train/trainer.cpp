#include "layerledger/train/trainer.hpp"

#include <ctime>
#include <exception>
#include <utility>

#include "layerledger/base/contract.hpp"
#include "layerledger/train/initialization.hpp"
#include "layerledger/train/replicas.hpp"

namespace layerledger {
namespace {

Extents extents_of(const Network& network, Level level) {
    return {network.layers().size(), level == Level::op ? network.ops().size() : 0, 0};
}

// Libraries load kernels and make connections when they are first used, which a capture forbids.
constexpr std::int64_t eager_iterations = 2;

// Every layer and operation in three phases, and every activity a few times.
std::size_t span_capacity(const Network& network) {
    return (network.layers().size() + network.ops().size()) * phases.size() + 4 * activity_count;
}

// Iterations are reported late, but by fewer than there are slots.
std::size_t metric_slot(std::int64_t iteration) {
    return static_cast<std::size_t>(iteration) % LayerOps::metric_slots;
}

Doing doing(Phase phase) {
    switch (phase) {
        case Phase::forward: return Doing::forward;
        case Phase::backward: return Doing::backward;
        case Phase::update: return Doing::update;
    }
    return Doing::rest;
}

constexpr int anchors_at_an_end = 3;

/// Of an iteration whose times are not reported.
Account duration_alone(const Account& account, const Extents& extents) {
    Account bare(extents);
    bare.start_ns = account.start_ns;
    bare.iteration_time = account.iteration_time;
    bare.activity_time[index(Activity::measurement)] =
        account.activity_time[index(Activity::measurement)];
    return bare;
}

/// Not the clock that marks come from: the sum of all windows is held against this one.
double raw_clock_us() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

}  // namespace

Trainer::Trainer(const Network& network, Backend& backend, Collective& collective,
                 const Communicator& world, BatchSource& source, const TrainerOptions& options)
    : network_(network),
      backend_(backend),
      world_(world),
      source_(source),
      options_(options),
      extents_(extents_of(network, options.profile.level)),
      recorder_(backend.marks(), extents_, span_capacity(network)),
      ops_(backend.compile(network, options.compile, recorder_)),
      arena_(plan_arena(network, ops_->parameter_storage())),
      parameters_(backend.allocate(arena_.size)),
      gradients_(backend.allocate(arena_.size + GradientSynchronizer::vote_floats)),
      synchronizer_(collective, backend.annotations(), recorder_, *gradients_,
                    plan_buckets(arena_, options.bucket_floats)),
      optimizer_(backend, arena_, parameters_->span(), gradients_->span(), options.optimizer) {
    extents_.buckets = synchronizer_.buckets().size();
    recorder_.set_buckets(extents_.buckets);
    backend.annotations().name(network, extents_.buckets);
    ops_->bind(parameters_->span(), gradients_->span(), arena_.parameter_offsets);
    initialize(network, *ops_, options.seed);
    if (options.profile.level == Level::kernel) {
        kernels_ = backend.watch_kernels();
        LL_VALIDATE(kernels_ != nullptr, ExitCode::unavailable,
                    "profile.level=kernel looks inside GPU kernels (this run is on CPUs) use "
                    "profile.level=op");
    }
}

void Trainer::run(IterationObserver& observer, Breaks& breaks) {
    compare_replicas();
    capture_from_ = done_ + eager_iterations;
    const double begun_us = raw_clock_us();
    bool go_on = true;
    while (go_on && !is_done()) {
        const Watch watch = options_.profile.watch(done_);
        if (watch == Watch::warm_up) {
            pause([&] {
                kernels_->start();
                is_watching_ = true;
            });
        }
        enter(done_);
        enter(Doing::rest);
        {
            const auto measuring = recorder_.begin_iteration(done_, options_.profile.at(done_));
            report(recorder_.take_closed(), observer);
        }
        iterate(done_);
        ++done_;
        bool is_due = false;
        {
            const auto measuring = recorder_.activity(Activity::measurement);
            is_due = !is_done() && breaks.is_due(done_);
        }
        recorder_.end_iteration();
        if (watch == Watch::sampled) {
            pause([&] { take_sample(observer); });
        }
        if (is_due || done_ % options_.digest_every == 0) {
            pause([&] { compare_replicas(); });
        }
        if (is_due) {
            pause([&] {
                report_rest(observer);
                go_on = breaks.take(done_);
            });
        }
    }
    enter(Doing::pause);
    if (std::exchange(is_watching_, false)) {
        static_cast<void>(kernels_->stop());  // of a sample that training did not come to
    }
    wall_clock_.elapsed_us = raw_clock_us() - begun_us;
    report_rest(observer);
    compare_replicas();
}

void Trainer::run(IterationObserver& observer) {
    class NoBreaks final : public Breaks {
        bool is_due(std::int64_t) override { return false; }
        bool take(std::int64_t) override { return true; }
    } none;
    run(observer, none);
}

void Trainer::pause(const std::function<void()>& work) {
    const double begun_us = raw_clock_us();
    enter(Doing::pause);
    work();
    recorder_.pause_ended();
    wall_clock_.paused_us += raw_clock_us() - begun_us;
}

void Trainer::report_rest(IterationObserver& observer) {
    while (const auto closed = recorder_.drain()) {
        report(closed, observer);
    }
}

// Where the compute stream works between two marks of the recorder: on its way in and out of an
// iteration.
void Trainer::place_anchors() {
    if (is_watching_ && options_.profile.watch(done_) == Watch::sampled) {
        for (int i = 0; i < anchors_at_an_end; ++i) {
            anchors_.push_back(kernels_->anchor());
        }
    }
}

void Trainer::take_sample(IterationObserver& observer) {
    const DeviceRecords records = kernels_->stop();
    is_watching_ = false;
    report_rest(observer);
    std::vector<std::int64_t> anchors_ns;
    for (const Mark anchor : std::exchange(anchors_, {})) {
        anchors_ns.push_back(backend_.marks().nanoseconds(anchor));
    }
    LL_EXPECT(sampled_.has_value());
    observer.kernels_sampled(done_ - 1, close_kernel_account(*sampled_, anchors_ns, records));
    sampled_.reset();
}

StateHolders Trainer::state_holders() {
    return {network_, *ops_, optimizer_, *parameters_, *gradients_};
}

TrainerState Trainer::capture() {
    return layerledger::capture(state_holders(), done_, world_);
}

void Trainer::restore(const TrainerState& state) {
    LL_EXPECT(done_ == 0);
    layerledger::restore(state_holders(), state, world_.rank());
    done_ = state.iteration;
    synchronizer_.count_from(done_);
    options_.profile.warmup += done_;
    source_.seek(done_);
}

/// One iteration: forward, backward with the all-reduce of each bucket as its gradients appear, and
/// the update. What fails on one rank before the update, all ranks know of behind the all-reduce,
/// or, where votes come late, when the iteration is reported: until then a rank that failed takes
/// part in every sum and update, so that nobody waits and the replicas stay equal.
void Trainer::iterate(std::int64_t iteration) {
    const Annotation annotation(backend_.annotations(), iteration);
    if (!failure_) {
        try {
            load_batch();
            compute_gradients();
        } catch (const std::exception&) {
            failure_ = std::current_exception();
        }
    }
    if (failure_) {
        tell_of_failure();
    }
    bool all_went_well = false;
    {
        const auto joining = recorder_.join();
        enter(Doing::gradients);
        all_went_well = synchronizer_.join(metric_slot(iteration));
    }
    if (!all_went_well) {
        agree_on_failure();
    }
    if (options_.graph) {
        backend_.set_learning_rate(static_cast<float>(options_.learning_rate.at(iteration)));
    }
    enqueue(Part::update, [&] { update(iteration); });
    {
        enter(Doing::rest);
        const auto copying = recorder_.activity(Activity::memcpy_d2h);
        ops_->send_metrics(metric_slot(iteration));
        place_anchors();
    }
}

void Trainer::update(std::int64_t iteration) {
    double learning_rate = 0;
    for (const Layer& layer : network_.layers()) {
        do_layer(layer.id, Phase::update, [&] {
            if (layer.id.index() == 0) {  // the update's work too, and the same for all layers
                learning_rate = options_.learning_rate.at(iteration);
            }
            optimizer_.update(layer.id, learning_rate);
        });
    }
}

void Trainer::enqueue(Part part, const std::function<void()>& work) {
    if (!options_.graph || done_ < capture_from_) {
        work();
        return;
    }
    Captured& captured = captured_[{options_.profile.at(done_), part}];
    if (!captured.graph) {
        recorder_.begin_capture();
        try {
            captured.graph = backend_.capture(work);
        } catch (const std::exception&) {
            static_cast<void>(recorder_.end_capture());
            throw;
        }
        captured.spans = recorder_.end_capture();
        LL_EXPECT(captured.graph != nullptr);
    }
    recorder_.replay(captured.spans, [&] { return captured.graph->launch(); });
}

void Trainer::tell_of_failure() {
    bool told = false;
    try {
        told = synchronizer_.give_up();
    } catch (const std::exception&) {  // what failed first says more
    }
    if (told) {
        return;
    }
    if (world_.size() == 1) {
        agree_on_failure();  // nobody is left to tell
    }
    std::rethrow_exception(failure_);
}

void Trainer::agree_on_failure() {
    world_.agree([&] {
        if (failure_) {
            std::rethrow_exception(failure_);
        }
    });
}

template <class Work>
void Trainer::do_layer(LayerId layer, Phase phase, const Work& work) {
    const auto computing = recorder_.layer(layer, phase);
    const Annotation annotation(backend_.annotations(), layer, phase);
    enter(doing(phase), layer);
    const std::optional<Injection>& injection = options_.injection;
    if (!injection || injection->layer != layer || injection->phase.value_or(phase) != phase) {
        work();
        return;
    }
    const std::int64_t begun_ns = steady_clock_ns();
    work();
    const auto worked_ns = static_cast<double>(steady_clock_ns() - begun_ns);
    const std::int64_t end_ns =
        begun_ns + static_cast<std::int64_t>(worked_ns * (1 + injection->percent / 100));
    while (steady_clock_ns() < end_ns) {
    }
}

void Trainer::load_batch() {
    const HostBatch* batch = nullptr;
    {
        const auto waiting = recorder_.activity(Activity::input_wait);
        enter(Doing::input);
        batch = &source_.next();
        ops_->stage(*batch);
    }
    const auto copying = recorder_.activity(Activity::memcpy_h2d);
    place_anchors();
    ops_->load(*batch);
}

void Trainer::compute_gradients() {
    const std::span<const Layer> layers = network_.layers();
    if (options_.graph) {
        ops_->begin_pass();
    }
    enqueue(Part::gradients, [&] {
        for (const Layer& layer : layers) {
            do_layer(layer.id, Phase::forward, [&] { ops_->forward(layer.id, Mode::training); });
        }
        for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
            do_layer(layer->id, Phase::backward, [&] { ops_->backward(layer->id); });
            if (!options_.graph) {
                synchronizer_.gradients_ready(layer->id);
            }
        }
    });
    for (auto layer = layers.rbegin(); options_.graph && layer != layers.rend(); ++layer) {
        synchronizer_.gradients_ready(layer->id);
    }
}

void Trainer::report(const std::optional<ClosedIteration>& closed, IterationObserver& observer) {
    if (!closed) {
        return;
    }
    if (!synchronizer_.went_well(metric_slot(closed->iteration))) {
        agree_on_failure();
    }
    IterationReport report{.iteration = closed->iteration,
                           .level = closed->level,
                           .metrics = ops_->metrics(metric_slot(closed->iteration)),
                           .account = closed->account};
    const Watch watch = options_.profile.watch(report.iteration);
    if (watch != Watch::none) {
        if (watch == Watch::sampled) {
            sampled_ = closed->account;
        }
        report.level = Level::off;
        report.account = duration_alone(closed->account, extents_);
    }
    if (options_.iterations_per_epoch > 0) {
        report.epoch = static_cast<std::int32_t>(report.iteration / options_.iterations_per_epoch);
    }
    report.learning_rate = options_.learning_rate.at(report.iteration);
    report.warmup = report.iteration < options_.profile.warmup;
    if (options_.profile.overhead_check && !report.warmup && watch == Watch::none) {
        const double measurement_us = report.account.activity_time[index(Activity::measurement)];
        checked_.push_back({options_.profile.pair(report.iteration), report.level != Level::off,
                            report.account.iteration_time - measurement_us, measurement_us});
    }
    observer.iteration_finished(report);
}

/// Waits for the device, whatever the number of ranks.
void Trainer::compare_replicas() {
    require_equal_replicas(world_, backend_.digest(parameters_->span()), done_);
}

std::optional<Overhead> Trainer::overhead() const {
    return estimate_overhead(checked_);
}

}  // namespace layerledger
