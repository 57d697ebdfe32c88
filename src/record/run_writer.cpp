#include "layerledger/record/run_writer.hpp"

#include <cmath>
#include <filesystem>
#include <utility>

#include "disk.hpp"
#include "failed_run.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/part_file.hpp"
#include "layerledger/base/text.hpp"
#include "run_writer_state.hpp"

namespace layerledger {

RunWriter::RunWriter(std::string path, const RunDescription& description, bool overwrite)
    : state_(std::make_unique<State>(std::move(path), description, overwrite)) {
    state_->build(0);
}

RunWriter::RunWriter(std::string path, const RunDescription& description, GoOn)
    : state_(std::make_unique<State>(std::move(path), description, false)) {
    state_->go_on();
}

RunWriter::~RunWriter() {
    if (state_->is_finished) {
        return;
    }
    static_cast<void>(state_->try_commit_all());
    if (state_->is_empty()) {
        remove_empty_run(state_->path);
    } else {
        static_cast<void>(state_->try_write_end(RunStatus::failed));
    }
}

void RunWriter::set_block_iterations(std::size_t iterations) {
    const std::lock_guard turn(state_->turn);
    LL_VALIDATE(!state_->arrays && iterations > 0, ExitCode::internal,
                "the length of a block is fixed already, or is 0");
    state_->block_iterations = iterations;
    try {
        state_->build(iterations);
    } catch (const std::exception& error) {
        state_->warn_once(error);  // the first commit tries again
    }
}

void RunWriter::append(RecordBlock block) {
    if (block.facts.empty()) {
        return;
    }
    const std::lock_guard turn(state_->turn);
    State& state = *state_;
    state.take(std::move(block));
    if (state.try_commit_all()) {
        return;
    }
    while (state.pending_bytes > pending_limit_bytes) {
        const RecordBlock& oldest = state.pending.front();
        if (state.dropped == 0) {
            log::warning(text("records of iteration ", oldest.facts.front().iteration,
                              " and later are dropped (", bytes_text(pending_limit_bytes),
                              " wait already) make room for '", state.path, "'"));
        }
        state.dropped += static_cast<std::int64_t>(oldest.iterations());
        state.pending_bytes -= bytes_of(oldest);
        state.pending.pop_front();
    }
}

void RunWriter::set_overhead(const OverheadRecord& overhead) {
    const std::lock_guard turn(state_->turn);
    state_->overhead = overhead;
}

void RunWriter::add_validation(const ValidationRecord& validation) {
    const std::lock_guard turn(state_->turn);
    state_->validations.push_back(validation);
    static_cast<void>(state_->try_write_events());
}

void RunWriter::add_pause(PauseKind kind, std::int64_t iteration, double seconds) {
    const std::lock_guard turn(state_->turn);
    state_->pauses.push_back({iteration, static_cast<std::int64_t>(kind), seconds});
    static_cast<void>(state_->try_write_events());
}

void RunWriter::add_clocks(const std::vector<ClockRecord>& clocks) {
    const std::lock_guard turn(state_->turn);
    state_->clocks.insert(state_->clocks.end(), clocks.begin(), clocks.end());
    static_cast<void>(state_->try_write_events());
}

void RunWriter::add_kernels(const KernelSamples& samples) {
    const std::lock_guard turn(state_->turn);
    KernelSamples& all = state_->kernels;
    if (bytes_of(all) > pending_limit_bytes) {
        if (!std::exchange(state_->has_lost_kernels, true)) {
            log::warning(text("samples of kernels are dropped from here on (",
                              bytes_text(pending_limit_bytes), " wait already) make room for '",
                              state_->path, "'"));
        }
        static_cast<void>(state_->try_write_events());
        return;
    }
    all.samples.insert(all.samples.end(), samples.samples.begin(), samples.samples.end());
    all.kernels.insert(all.kernels.end(), samples.kernels.begin(), samples.kernels.end());
    all.copies.insert(all.copies.end(), samples.copies.begin(), samples.copies.end());
    static_cast<void>(state_->try_write_events());
}

void RunWriter::set_zero_skew(const std::vector<double>& times_us) {
    const std::lock_guard turn(state_->turn);
    state_->zero_skew.clear();
    for (const double time_us : times_us) {
        BucketAnatomy bucket;
        bucket.iteration = std::ssize(state_->zero_skew);
        bucket.zero_skew_us = time_us;
        state_->zero_skew.push_back(bucket);
    }
}

void RunWriter::set_wall_clock(const WallClockRecord& wall_clock) {
    const std::lock_guard turn(state_->turn);
    state_->wall_clock = wall_clock;
}

void RunWriter::set_peak_memory(std::vector<PeakMemory> ranks) {
    const std::lock_guard turn(state_->turn);
    LL_VALIDATE(ranks.size() == state_->description.ranks.size(), ExitCode::internal,
                "peak memory is not given for each rank");
    for (std::size_t rank = 0; rank < state_->earlier.peak_memory.size(); ++rank) {
        const PeakMemory& earlier = state_->earlier.peak_memory[rank];
        ranks[rank].process_bytes = std::fmax(ranks[rank].process_bytes, earlier.process_bytes);
        ranks[rank].device_bytes = std::fmax(ranks[rank].device_bytes, earlier.device_bytes);
        ranks[rank].device_library_bytes =
            std::fmax(ranks[rank].device_library_bytes, earlier.device_library_bytes);
    }
    state_->peak_memory = std::move(ranks);
}

void RunWriter::set_skipped_images(std::int64_t images) {
    const std::lock_guard turn(state_->turn);
    state_->skipped_images = images;
}

void RunWriter::set_lost_checkpoints(std::int64_t checkpoints) {
    const std::lock_guard turn(state_->turn);
    state_->lost_checkpoints = checkpoints;
}

void RunWriter::set_dropped_spans(std::int64_t spans) {
    const std::lock_guard turn(state_->turn);
    state_->dropped_spans = spans;
}

bool RunWriter::sync() {
    const std::lock_guard turn(state_->turn);
    State& state = *state_;
    const bool has_new_events = state.written_validations < state.validations.size() ||
                                state.written_pauses < state.pauses.size() ||
                                state.written_clocks < state.clocks.size() ||
                                !state.kernels.samples.empty();
    if (!state.try_commit_all() || (has_new_events && !state.try_write_events())) {
        return false;
    }
    try {
        sync_to_disk(state.path);
        sync_to_disk(std::filesystem::path(state.path).parent_path().string());
    } catch (const std::exception& error) {
        state.warn_once(error);
        return false;
    }
    return true;
}

bool RunWriter::finish(RunStatus status) {
    const std::lock_guard turn(state_->turn);
    return state_->finish(status, finish_patience);
}

void RunWriter::fail_within(std::chrono::nanoseconds patience) {
    const std::unique_lock turn(state_->turn, patience / 2);
    if (turn && !state_->is_finished) {
        static_cast<void>(state_->finish(RunStatus::failed, patience / 2));
    }
}

const std::string& RunWriter::path() const noexcept {
    return state_->path;
}

std::int64_t RunWriter::committed_iterations() const noexcept {
    return state_->committed;
}

std::size_t RunWriter::block_iterations() const noexcept {
    return state_->block_iterations;
}

std::int64_t RunWriter::last_validation() const noexcept {
    return state_->validations.empty() ? -1 : state_->validations.back().iteration;
}

}  // namespace layerledger
