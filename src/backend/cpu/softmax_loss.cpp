#include "softmax_loss.hpp"

#include <algorithm>
#include <cmath>

namespace layerledger::cpu {
namespace {

// How many classes come before the label: those that score higher, or as high under a lower index.
// A score that is no number counts as higher, so that a diverged network is never right.
std::int64_t rank_of(const float* scores, std::int64_t classes, std::int64_t label) {
    const float own = scores[label];
    std::int64_t rank = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
        const bool behind = scores[c] < own || (scores[c] == own && c >= label);
        rank += behind ? 0 : 1;
    }
    return rank;
}

double log_sum_exp(const float* scores, std::int64_t classes) {
    const float largest = *std::max_element(scores, scores + classes);
    double sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
        sum += static_cast<double>(std::exp(scores[c] - largest));
    }
    return static_cast<double>(largest) + std::log(sum);
}

}  // namespace

SoftmaxLossOp::SoftmaxLossOp(Program& program, const Op& op, const SoftmaxLoss& attributes)
    : op_(op),
      program_(program),
      weight_(static_cast<double>(attributes.weight)),
      batch_(program.options().batch),
      classes_(program.network().classes()),
      log_sums_(static_cast<std::size_t>(batch_)),
      ranks_(static_cast<std::size_t>(batch_)) {
    const Memory& input = program.tensor(op.inputs[0]).data;
    logits_ = program.converted(input, plain_layout(input.get_desc(), DataType::f32), forward_);
    losses_ = program.produce(op.id, {batch_dims(batch_, op.output), DataType::f32, Tag::nchw});
    forward_.add([this] { compute_losses(); });
    algorithm_ = "rowwise";
}

void SoftmaxLossOp::assemble_backward(Program& program) {
    const Memory gradient = program.allocate(logits_.get_desc());
    backward_.add([this, gradient] { compute_gradient(floats(gradient)); });
    program.deliver_gradient(op_.inputs[0], gradient, backward_);
}

void SoftmaxLossOp::compute_losses() {
    const std::vector<std::int32_t>& labels = program_.labels().values;
#pragma omp parallel for schedule(static)
    for (std::int64_t n = 0; n < batch_; ++n) {
        const auto i = static_cast<std::size_t>(n);
        const float* scores = floats(logits_) + n * classes_;
        const std::int64_t label = labels[i];
        log_sums_[i] = log_sum_exp(scores, classes_);
        floats(losses_)[n] = static_cast<float>(log_sums_[i] - static_cast<double>(scores[label]));
        ranks_[i] = rank_of(scores, classes_, label);
    }
}

void SoftmaxLossOp::compute_gradient(float* gradient) const {
    const std::vector<std::int32_t>& labels = program_.labels().values;
    const auto share = static_cast<float>(weight_ / static_cast<double>(batch_));
#pragma omp parallel for schedule(static)
    for (std::int64_t n = 0; n < batch_; ++n) {
        const auto i = static_cast<std::size_t>(n);
        const float* scores = floats(logits_) + n * classes_;
        float* row = gradient + n * classes_;
        const auto log_sum = static_cast<float>(log_sums_[i]);
        for (std::int64_t c = 0; c < classes_; ++c) {
            row[c] = share * std::exp(scores[c] - log_sum);
        }
        row[labels[i]] -= share;
    }
}

BatchMetrics SoftmaxLossOp::metrics() const {
    BatchMetrics sums;
    sums.images = program_.labels().valid;
    for (std::int64_t n = 0; n < sums.images; ++n) {
        const auto i = static_cast<std::size_t>(n);
        sums.loss += static_cast<double>(floats(losses_)[n]);
        sums.top1 += ranks_[i] == 0 ? 1 : 0;
        sums.topk += ranks_[i] < program_.options().topk ? 1 : 0;
    }
    return sums;
}

OpPointer compile(Program& program, const Op& op, const SoftmaxLoss& attributes) {
    return std::make_unique<SoftmaxLossOp>(program, op, attributes);
}

}  // namespace layerledger::cpu
