// Batch norm and local response normalization of the reference.
#include <algorithm>
#include <cmath>

#include "conformance/reference.hpp"

namespace layerledger::conformance {
namespace {

struct Moments {
    double mean = 0;
    double variance = 0;  // biased
};

template <class Work>
void for_channel(const Grid& grid, std::int64_t c, const Work& work) {
    for (std::int64_t n = 0; n < grid.batch; ++n) {
        for (std::int64_t h = 0; h < grid.shape.height; ++h) {
            for (std::int64_t w = 0; w < grid.shape.width; ++w) {
                work(grid.index(n, c, h, w));
            }
        }
    }
}

Moments moments(const Grid& x, std::int64_t c) {
    const auto count = static_cast<double>(x.batch * x.shape.height * x.shape.width);
    Moments result;
    for_channel(x, c, [&](std::size_t i) { result.mean += x.values[i] / count; });
    for_channel(x, c, [&](std::size_t i) {
        result.variance += std::pow(x.values[i] - result.mean, 2) / count;
    });
    return result;
}

// k + alpha / size * sum of squares over the channels around c.
double lrn_base(const Grid& x, const LocalResponseNorm& a, std::int64_t n, std::int64_t c,
                std::int64_t h, std::int64_t w) {
    double sum = 0;
    const std::int64_t first = std::max<std::int64_t>(0, c - a.size / 2);
    const std::int64_t last = std::min(x.shape.channels - 1, c + a.size / 2);
    for (std::int64_t j = first; j <= last; ++j) {
        sum += std::pow(x.at(n, j, h, w), 2);
    }
    return static_cast<double>(a.k) +
           static_cast<double>(a.alpha) / static_cast<double>(a.size) * sum;
}

}  // namespace

void Reference::forward(const Op& op, const BatchNorm& a, Mode mode) {
    const Grid& x = input_of(op);
    std::vector<double>& running = running_[op.id.value];
    const auto channels = static_cast<std::size_t>(x.shape.channels);
    const auto count = static_cast<double>(x.batch * x.shape.height * x.shape.width);
    const auto momentum = static_cast<double>(a.momentum);
    for (std::size_t c = 0; c < channels; ++c) {
        Moments used{running[c], running[channels + c]};
        if (mode == Mode::training) {
            used = moments(x, static_cast<std::int64_t>(c));
            running[c] = (1 - momentum) * running[c] + momentum * used.mean;
            running[channels + c] = (1 - momentum) * running[channels + c] +
                                    momentum * used.variance * count / (count - 1);
        }
        const double deviation = std::sqrt(used.variance + static_cast<double>(a.epsilon));
        for_channel(x, static_cast<std::int64_t>(c), [&](std::size_t i) {
            output_of(op).values[i] =
                weights_of(op, 0)[c] * (x.values[i] - used.mean) / deviation + weights_of(op, 1)[c];
        });
    }
}

void Reference::backward(const Op& op, const BatchNorm& a, const Grid& dy) {
    const Grid& x = input_of(op);
    const auto count = static_cast<double>(x.batch * x.shape.height * x.shape.width);
    for (std::int64_t c = 0; c < x.shape.channels; ++c) {
        const Moments used = moments(x, c);
        const double deviation = std::sqrt(used.variance + static_cast<double>(a.epsilon));
        const double scale = weights_of(op, 0)[static_cast<std::size_t>(c)];
        double sum = 0;
        double projected = 0;
        for_channel(x, c, [&](std::size_t i) {
            sum += dy.values[i];
            projected += dy.values[i] * (x.values[i] - used.mean) / deviation;
        });
        weight_gradients_of(op, 0)[static_cast<std::size_t>(c)] += projected;
        weight_gradients_of(op, 1)[static_cast<std::size_t>(c)] += sum;
        for_channel(x, c, [&](std::size_t i) {
            const double normalized = (x.values[i] - used.mean) / deviation;
            input_gradient_of(op).values[i] +=
                scale / deviation * (dy.values[i] - sum / count - normalized * projected / count);
        });
    }
}

void Reference::forward(const Op& op, const LocalResponseNorm& a, Mode) {
    const Grid& x = input_of(op);
    for (std::int64_t n = 0; n < batch_; ++n) {
        for (std::int64_t c = 0; c < x.shape.channels; ++c) {
            for (std::int64_t h = 0; h < x.shape.height; ++h) {
                for (std::int64_t w = 0; w < x.shape.width; ++w) {
                    output_of(op).at(n, c, h, w) =
                        x.at(n, c, h, w) *
                        std::pow(lrn_base(x, a, n, c, h, w), -static_cast<double>(a.beta));
                }
            }
        }
    }
}

void Reference::backward(const Op& op, const LocalResponseNorm& a, const Grid& dy) {
    const Grid& x = input_of(op);
    const auto beta = static_cast<double>(a.beta);
    const double factor = 2 * static_cast<double>(a.alpha) * beta / static_cast<double>(a.size);
    for (std::int64_t n = 0; n < batch_; ++n) {
        for (std::int64_t c = 0; c < x.shape.channels; ++c) {
            for (std::int64_t h = 0; h < x.shape.height; ++h) {
                for (std::int64_t w = 0; w < x.shape.width; ++w) {
                    // y_c reads every x_j around c.
                    const double base = lrn_base(x, a, n, c, h, w);
                    const double g = dy.at(n, c, h, w);
                    input_gradient_of(op).at(n, c, h, w) += g * std::pow(base, -beta);
                    const std::int64_t first = std::max<std::int64_t>(0, c - a.size / 2);
                    const std::int64_t last = std::min(x.shape.channels - 1, c + a.size / 2);
                    for (std::int64_t j = first; j <= last; ++j) {
                        input_gradient_of(op).at(n, j, h, w) -= g * factor * x.at(n, c, h, w) *
                                                                x.at(n, j, h, w) *
                                                                std::pow(base, -beta - 1);
                    }
                }
            }
        }
    }
}

}  // namespace layerledger::conformance
