// Takes every finished iteration: to the gather, the run file, the progress display.
#pragma once

#include <list>
#include <memory>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/record/gather.hpp"
#include "layerledger/record/run_writer.hpp"
#include "layerledger/train/trainer.hpp"
#include "progress.hpp"

namespace layerledger {

class RunRecorder final : public IterationObserver {
public:
    /// `writer` is there and `progress` has displays on rank 0 only. All must outlive this. The run
    /// begins at iteration `first`. Collective.
    RunRecorder(const Communicator& world, Gather& gather, const RecordLayout& layout,
                std::int64_t first, std::int64_t iterations, double commit_seconds,
                RunWriter* writer, std::list<Progress>& progress);

    /// Gathers and commits once enough iterations are there: at the same iteration on all ranks.
    void iteration_finished(const IterationReport& report) override;
    /// Collective.
    void kernels_sampled(std::int64_t iteration, const KernelAccount& account) override;

    /// Collective: gathers and commits what is left.
    void flush();

    /// Microseconds of all windows so far, on this rank.
    [[nodiscard]] double windows_us() const noexcept { return windows_us_; }

private:
    /// How many iterations travel together: what fits into `commit_seconds`, as far as rank 0's
    /// memory allows.
    void choose_block();
    /// On rank 0, once: the first iteration whose loss is no finite number on some rank.
    void warn_of_divergence(const RecordBlock& block);

    const Communicator& world_;
    Gather& gather_;
    const RecordLayout& layout_;
    std::size_t largest_block_;
    std::int64_t typical_;  // the iteration whose duration tells how long a block takes
    double commit_us_;
    RunWriter* writer_;
    std::list<Progress>& progress_;
    std::size_t rows_;       // in the file or on the way there
    std::size_t block_ = 0;  // 0: not chosen yet
    double windows_us_ = 0;
    double newest_us_ = 0;  // the newest iteration's window
    bool has_diverged_ = false;
};

}  // namespace layerledger
