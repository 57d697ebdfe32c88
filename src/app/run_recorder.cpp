#include "run_recorder.hpp"

#include <algorithm>
#include <cmath>

#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

// The first iteration pays for page faults and connections; the second tells how long one takes.
constexpr std::int64_t typical_iteration = 1;

constexpr std::int64_t most_iterations_per_block = 1024;

IterationMetrics means(const BatchMetrics& sums) {
    const auto images = static_cast<double>(sums.images);
    return {static_cast<float>(sums.loss / images),
            static_cast<float>(static_cast<double>(sums.top1) / images),
            static_cast<float>(static_cast<double>(sums.topk) / images)};
}

}  // namespace

RunRecorder::RunRecorder(const Communicator& world, Gather& gather, const RecordLayout& layout,
                         std::int64_t first, std::int64_t iterations, double commit_seconds,
                         RunWriter* writer, std::list<Progress>& progress)
    : world_(world),
      gather_(gather),
      layout_(layout),
      largest_block_(largest_block(layout, world.size())),
      typical_(std::min(first + typical_iteration, iterations - 1)),
      commit_us_(commit_seconds * 1e6),
      writer_(writer),
      progress_(progress),
      rows_(static_cast<std::size_t>(
          world.broadcast(writer != nullptr ? writer->committed_iterations() : std::int64_t{0}))),
      block_(static_cast<std::size_t>(world.broadcast(
          static_cast<std::int64_t>(writer != nullptr ? writer->block_iterations() : 0)))) {}

void RunRecorder::iteration_finished(const IterationReport& report) {
    const IterationMetrics metrics = means(report.metrics);
    gather_.add({report.iteration, report.epoch, static_cast<float>(report.learning_rate),
                 report.warmup, report.level != Level::off},
                report.account, metrics);
    newest_us_ = report.account.iteration_time;
    windows_us_ += newest_us_;
    ++rows_;
    for (Progress& display : progress_) {
        display.update(report.iteration + 1, metrics.loss, report.account.iteration_time / 1e6,
                       report.metrics.images * world_.size());
    }
    if (block_ == 0 && report.iteration == typical_) {
        choose_block();
    }
    // A block ends where a chunk of the file does, also after one that was broken off.
    if (block_ > 0 && (rows_ % block_ == 0 || gather_.pending() >= block_)) {
        flush();
    }
}

void RunRecorder::kernels_sampled(std::int64_t iteration, const KernelAccount& account) {
    const KernelSamples samples =
        gather_kernels(world_, layout_.extents.layers, iteration, account);
    if (writer_ != nullptr) {
        writer_->add_kernels(samples);
    }
}

void RunRecorder::choose_block() {
    const double fitting =
        std::clamp(commit_us_ / newest_us_, 1.0, static_cast<double>(most_iterations_per_block));
    const auto wanted =
        static_cast<std::int64_t>(std::min(static_cast<std::size_t>(fitting), largest_block_));
    block_ = static_cast<std::size_t>(world_.broadcast(wanted));
    if (writer_ != nullptr) {
        writer_->set_block_iterations(block_);
    }
}

void RunRecorder::flush() {
    if (gather_.pending() == 0) {
        return;
    }
    if (block_ == 0) {
        choose_block();
    }
    RecordBlock block = gather_.collect();
    if (writer_ != nullptr) {
        warn_of_divergence(block);
        writer_->append(std::move(block));
    }
}

void RunRecorder::warn_of_divergence(const RecordBlock& block) {
    const std::size_t ranks = block.starts_ns.size() / block.iterations();
    for (std::size_t i = 0; i < block.iterations() && !has_diverged_; ++i) {
        for (std::size_t rank = 0; rank < ranks && !has_diverged_; ++rank) {
            const std::size_t row = rank * block.iterations() + i;
            has_diverged_ = !std::isfinite(block.rows[row * layout_.size + layout_.loss]);
        }
        if (has_diverged_) {
            log::warning(text("training diverged: the loss of iteration ", block.facts[i].iteration,
                              " is no finite number, and what follows learns nothing; begin again "
                              "with a smaller train.learning_rate"));
        }
    }
}

}  // namespace layerledger
