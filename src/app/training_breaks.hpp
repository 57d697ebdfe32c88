// What training stops for: validation, checkpoints, a request to end.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>

#include "clock_readings.hpp"
#include "layerledger/comm/communicator.hpp"
#include "layerledger/config/experiment.hpp"
#include "layerledger/data/batch_source.hpp"
#include "layerledger/network/network.hpp"
#include "layerledger/record/checkpoint_file.hpp"
#include "layerledger/record/run_writer.hpp"
#include "layerledger/train/trainer.hpp"
#include "run_recorder.hpp"

namespace layerledger {

class TrainingBreaks final : public Breaks {
public:
    /// What it works on, which must outlive it.
    struct Parts {
        const Communicator& world;
        const Network& network;
        const TrainerOptions& options;
        BatchSource& source;
        Trainer& trainer;
        RunRecorder& recorder;
        ClockReadings& clocks;
        RunWriter* writer;  ///< on rank 0 only
    };
    /// Makes the source of one pass over the validation images; empty where there are none.
    using ValidationSources = std::function<std::unique_ptr<ValidationSource>()>;

    /// `clock_every` is in iterations, 0: only at the end. `checkpoint` has everything but numbers,
    /// which every checkpoint brings anew, and the images that were skipped before this start.
    /// Collective.
    TrainingBreaks(const Parts& parts, const TrainSettings& settings, std::int64_t clock_every,
                   ValidationSources validation_sources, CheckpointFolder folder,
                   Checkpoint checkpoint);

    /// Now and then the ranks agree, without waiting for each other, whether one of them was asked
    /// to stop.
    [[nodiscard]] bool is_due(std::int64_t iterations_done) override;
    [[nodiscard]] bool take(std::int64_t iterations_done) override;

    /// Before the first iteration: a validation that the start before was asked to stop in.
    /// Collective.
    void take_first();

    /// After the last iteration, unless training was stopped: what the end of a run owes and no
    /// break has done yet. Collective.
    void take_last();

    [[nodiscard]] bool is_stopped() const noexcept { return is_stopped_; }
    /// How many checkpoints could not be written.
    [[nodiscard]] std::int64_t lost_checkpoints() const noexcept { return lost_checkpoints_; }
    /// Why the trained network could not be validated; null where it was, or was not to be.
    [[nodiscard]] std::exception_ptr validation_failure() const noexcept {
        return validation_failure_;
    }
    /// Images that could not be read so far, of all ranks and all starts of the run. Collective.
    [[nodiscard]] std::int64_t skipped_images() const;

private:
    [[nodiscard]] bool is_validation_due(std::int64_t iterations_done) const;
    [[nodiscard]] bool is_checkpoint_due(std::int64_t iterations_done) const;
    [[nodiscard]] bool is_clock_due(std::int64_t iterations_done) const;
    void ask(std::int64_t iterations_done);
    [[nodiscard]] bool someone_asks_to_stop(std::int64_t iterations_done);
    /// After the last iteration a failure does not take back the training: it is kept for later.
    void try_to_validate();
    void validate_now();
    void save_checkpoint();

    Parts parts_;
    TrainSettings settings_;
    std::int64_t clock_every_;
    ValidationSources validation_sources_;
    CheckpointFolder folder_;
    Checkpoint checkpoint_;

    std::int64_t last_validation_;
    std::int64_t last_checkpoint_;
    std::int64_t skipped_in_validation_ = 0;  // on this rank
    bool is_stopped_ = false;
    std::int64_t lost_checkpoints_ = 0;
    std::exception_ptr validation_failure_;

    // What a rank asks after `asked_at_` iterations all ranks hear one iteration later.
    std::int64_t asked_at_;
    std::int64_t next_asked_;
    std::chrono::steady_clock::time_point asked_time_;
    std::optional<Communicator::PendingMax> question_;
};

}  // namespace layerledger
