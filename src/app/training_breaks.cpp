#include "training_breaks.hpp"

#include <algorithm>
#include <limits>

#include "checkpointing.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/train/validation.hpp"
#include "provenance.hpp"
#include "stop_request.hpp"

namespace layerledger {
namespace {

using Clock = std::chrono::steady_clock;

/// Agreeing costs a small message between all ranks, some tens of microseconds: so rarely that is
/// nothing, and nobody minds waiting so long for the end of a job.
constexpr double seconds_between_questions = 0.25;
constexpr std::int64_t most_iterations_between_questions = 10'000;

constexpr std::int64_t stop = std::numeric_limits<std::int64_t>::max();

double seconds_since(Clock::time_point begun) {
    return std::chrono::duration<double>(Clock::now() - begun).count();
}

}  // namespace

TrainingBreaks::TrainingBreaks(const Parts& parts, const TrainSettings& settings,
                               std::int64_t clock_every, ValidationSources validation_sources,
                               CheckpointFolder folder, Checkpoint checkpoint)
    : parts_(parts),
      settings_(settings),
      clock_every_(clock_every),
      validation_sources_(std::move(validation_sources)),
      folder_(std::move(folder)),
      checkpoint_(std::move(checkpoint)),
      last_validation_(parts.world.broadcast(
          parts.writer != nullptr ? parts.writer->last_validation() : std::int64_t{-1})),
      last_checkpoint_(parts.trainer.iterations_done()),
      asked_at_(parts.trainer.iterations_done()),
      next_asked_(asked_at_ + 1),
      asked_time_(Clock::now()) {}

bool TrainingBreaks::is_validation_due(std::int64_t iterations_done) const {
    const std::int64_t length = settings_.validate_every * parts_.options.iterations_per_epoch;
    return validation_sources_ && length > 0 && iterations_done % length == 0;
}

bool TrainingBreaks::is_checkpoint_due(std::int64_t iterations_done) const {
    return settings_.checkpoint_every > 0 && iterations_done % settings_.checkpoint_every == 0;
}

bool TrainingBreaks::is_clock_due(std::int64_t iterations_done) const {
    return clock_every_ > 0 && iterations_done % clock_every_ == 0 && parts_.world.size() > 1;
}

bool TrainingBreaks::is_due(std::int64_t iterations_done) {
    is_stopped_ = question_.has_value() && someone_asks_to_stop(iterations_done);
    if (!is_stopped_ && iterations_done >= next_asked_) {
        ask(iterations_done);
    }
    return is_stopped_ || is_validation_due(iterations_done) ||
           is_checkpoint_due(iterations_done) || is_clock_due(iterations_done);
}

/// One number does both: the largest interval that a rank proposes, or `stop`, which is larger. The
/// slowest rank is not waited for: by the end of the next iteration it has asked too.
void TrainingBreaks::ask(std::int64_t iterations_done) {
    const double seconds_per_iteration =
        seconds_since(asked_time_) / static_cast<double>(iterations_done - asked_at_);
    const auto interval = static_cast<std::int64_t>(
        std::clamp(seconds_between_questions / seconds_per_iteration, 1.0,
                   static_cast<double>(most_iterations_between_questions)));
    question_.emplace(parts_.world.start_max(is_stop_requested() ? stop : interval));
    asked_at_ = iterations_done;
    asked_time_ = Clock::now();
}

bool TrainingBreaks::someone_asks_to_stop(std::int64_t iterations_done) {
    const std::int64_t answer = question_->wait();
    question_.reset();
    // This iteration at the earliest, because every rank comes by here.
    next_asked_ = answer == stop ? stop : std::max(iterations_done, asked_at_ + answer);
    return answer == stop;
}

bool TrainingBreaks::take(std::int64_t iterations_done) {
    if (is_stopped_ || is_clock_due(iterations_done)) {
        parts_.clocks.read(iterations_done);
    }
    parts_.recorder.flush();
    std::exception_ptr failure;
    if (!is_stopped_ && is_validation_due(iterations_done)) {
        try {
            try_to_validate();
        } catch (const AgreedError&) {
            failure = std::current_exception();
        }
    }
    if (is_stopped_ || is_checkpoint_due(iterations_done)) {
        save_checkpoint();  // also where training ends here: nothing is wrong with what it learnt
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
    return !is_stopped_;
}

void TrainingBreaks::take_first() {
    const std::int64_t done = parts_.trainer.iterations_done();
    if (done > 0 && is_validation_due(done) && last_validation_ < done) {
        try_to_validate();
    }
}

void TrainingBreaks::take_last() {
    const std::int64_t done = parts_.trainer.iterations_done();
    parts_.clocks.read(done);
    parts_.recorder.flush();
    // First: where the validation fails or is cut off, the next start has to repeat only that.
    if (settings_.checkpoint_every > 0 && last_checkpoint_ != done) {
        save_checkpoint();
    }
    if (validation_sources_ && last_validation_ != done) {
        try_to_validate();
    }
    if (is_stopped_ && last_checkpoint_ != done) {
        save_checkpoint();
    }
}

void TrainingBreaks::try_to_validate() {
    const std::int64_t done = parts_.trainer.iterations_done();
    try {
        validate_now();
    } catch (const AgreedError&) {
        if (done < parts_.options.iterations) {
            throw;
        }
        validation_failure_ = std::current_exception();
        last_validation_ = done;  // once more would fail again
        if (parts_.world.is_root()) {
            log::warning(
                "the trained network could not be validated; the training is complete and "
                "its records are kept");
        }
    }
}

void TrainingBreaks::validate_now() {
    const Clock::time_point begun = Clock::now();
    const std::int64_t done = parts_.trainer.iterations_done();
    parts_.trainer.is_at(Doing::validating);
    std::unique_ptr<ValidationSource> source;
    parts_.world.agree([&] { source = validation_sources_(); });
    const std::optional<Validation> found =
        validate(parts_.network, parts_.trainer.ops(), *source, parts_.world, is_stop_requested);
    if (!found) {
        is_stopped_ = true;
        log::info(text("validation after iteration ", done,
                       " is left to the next start: this one was asked to stop"));
        if (parts_.writer != nullptr) {
            parts_.writer->add_pause(PauseKind::validation, done, seconds_since(begun));
        }
        return;
    }
    const Validation& result = *found;
    skipped_in_validation_ += source->skipped();
    last_validation_ = done;
    if (parts_.writer != nullptr) {
        parts_.writer->add_validation(
            {result.loss, result.top1, result.topk, result.images, result.seconds, done});
        parts_.writer->add_pause(PauseKind::validation, done, seconds_since(begun));
    }
    log::info(text("validation after iteration ", done, ": loss ", fixed(result.loss, 4),
                   ", top-1 ", fixed(100 * result.top1, 2), " %"));
}

/// Where the disk is full, training goes on and the older checkpoints stay.
void TrainingBreaks::save_checkpoint() {
    const Clock::time_point begun = Clock::now();
    const std::int64_t done = parts_.trainer.iterations_done();
    parts_.trainer.is_at(Doing::saving);
    TrainerState state = parts_.trainer.capture();
    const std::int64_t skipped = skipped_images();
    bool is_saved = true;
    if (parts_.world.is_root()) {
        Checkpoint checkpoint = checkpoint_;
        checkpoint.date_created = utc_now();
        checkpoint.skipped_images = skipped;
        put_state(checkpoint, std::move(state), parts_.network, parts_.options.optimizer.kind);
        // A checkpoint promises that everything before it is on record: the records go first. Where
        // they cannot be written the parameters are saved all the same, which took longer to get.
        (void)parts_.writer->sync();
        try {
            const std::string path = folder_.save(checkpoint);
            log::info(text("checkpoint '", path, "'"));
        } catch (const std::exception& error) {
            is_saved = false;
            log::warning(text(error.what(), " training goes on, older checkpoints are kept"));
        }
        parts_.writer->add_pause(PauseKind::checkpoint, done, seconds_since(begun));
    }
    // Slow storage may take longer than ranks wait for each other in an iteration; heartbeats tell
    // that rank 0 is there.
    parts_.world.barrier(setup_deadline, "rank 0, which writes a checkpoint");
    is_saved = parts_.world.broadcast(static_cast<std::int64_t>(is_saved)) != 0;
    lost_checkpoints_ += is_saved ? 0 : 1;
    last_checkpoint_ = is_saved ? done : last_checkpoint_;
}

std::int64_t TrainingBreaks::skipped_images() const {
    return checkpoint_.skipped_images +
           parts_.world.all_reduce_sum(parts_.source.skipped() + skipped_in_validation_);
}

}  // namespace layerledger
