#include "conformance/reference.hpp"

#include <algorithm>
#include <cmath>

namespace layerledger::conformance {
namespace {

template <class Work>
void for_each(const Grid& grid, const Work& work) {
    for (std::int64_t n = 0; n < grid.batch; ++n) {
        for (std::int64_t c = 0; c < grid.shape.channels; ++c) {
            for (std::int64_t h = 0; h < grid.shape.height; ++h) {
                for (std::int64_t w = 0; w < grid.shape.width; ++w) {
                    work(n, c, h, w);
                }
            }
        }
    }
}

// Calls work(row, column, r, s) for the elements of the window at output (p, q) inside the input.
template <class Work>
void for_window(const Window& window, const Shape& input, std::int64_t p, std::int64_t q,
                const Work& work) {
    for (std::int64_t r = 0; r < window.kernel; ++r) {
        const std::int64_t row = p * window.stride + r - window.padding;
        if (row < 0 || row >= input.height) {
            continue;
        }
        for (std::int64_t s = 0; s < window.kernel; ++s) {
            const std::int64_t column = q * window.stride + s - window.padding;
            if (column >= 0 && column < input.width) {
                work(row, column, r, s);
            }
        }
    }
}

bool rectifies(const Op& op) {
    return std::visit(
        [](const auto& a) {
            if constexpr (requires { a.relu; }) {
                return a.relu;
            } else {
                return false;
            }
        },
        op.attributes);
}

void rectify(Grid& y) {
    for (double& value : y.values) {
        value = std::max(value, 0.0);
    }
}

// Calls work(weight index, input channel) over the channels that output channel k reads.
struct Grouping {
    Grouping(const Convolution& a, const Shape& input)
        : per_group(input.channels / a.groups),
          outputs_per_group(a.output_channels / a.groups),
          kernel(a.window.kernel) {}

    [[nodiscard]] std::size_t weight(std::int64_t k, std::int64_t c, std::int64_t r,
                                     std::int64_t s) const {
        return static_cast<std::size_t>(((k * per_group + c) * kernel + r) * kernel + s);
    }
    [[nodiscard]] std::int64_t channel(std::int64_t k, std::int64_t c) const {
        return k / outputs_per_group * per_group + c;
    }

    std::int64_t per_group;
    std::int64_t outputs_per_group;
    std::int64_t kernel;
};

std::size_t at(std::int64_t i) {
    return static_cast<std::size_t>(i);
}

}  // namespace

Reference::Reference(const Network& network, std::int64_t batch)
    : network_(network), batch_(batch), labels_(at(batch)) {
    for (const Op& op : network.ops()) {
        outputs_.emplace_back(batch, op.output);
        gradients_.emplace_back(batch, op.output);
        if (std::holds_alternative<BatchNorm>(op.attributes)) {
            std::vector<double>& running = running_[op.id.value];
            running.assign(2 * at(op.output.channels), 0.0);
            std::fill(running.begin() + op.output.channels, running.end(), 1.0);
        }
    }
    for (const Parameter& parameter : network.parameters()) {
        parameters_.emplace_back(at(parameter.elements()));
        parameter_gradients_.emplace_back(at(parameter.elements()));
    }
}

void Reference::forward(Mode mode) {
    for (const Op& op : network_.ops()) {
        std::visit([&](const auto& a) { forward(op, a, mode); }, op.attributes);
        if (rectifies(op)) {
            rectify(output_of(op));
        }
    }
}

void Reference::backward() {
    for (Grid& gradient : gradients_) {
        std::fill(gradient.values.begin(), gradient.values.end(), 0.0);
    }
    for (auto& gradient : parameter_gradients_) {
        std::fill(gradient.begin(), gradient.end(), 0.0);
    }
    for (std::size_t i = network_.ops().size(); i-- > 0;) {
        const Op& op = network_.ops()[i];
        Grid dy = gradients_[i];
        if (rectifies(op)) {
            for (std::size_t e = 0; e < dy.values.size(); ++e) {
                dy.values[e] *= outputs_[i].values[e] > 0 ? 1.0 : 0.0;
            }
        }
        std::visit([&](const auto& a) { backward(op, a, dy); }, op.attributes);
    }
}

double Reference::objective() const {
    double sum = 0;
    for (const Op& op : network_.ops()) {
        if (const auto* loss = std::get_if<SoftmaxLoss>(&op.attributes)) {
            for (const double value : output(op.id).values) {
                sum += static_cast<double>(loss->weight) * value / static_cast<double>(batch_);
            }
        }
    }
    return sum;
}

std::vector<double> Reference::statistics() const {
    std::vector<double> all;
    for (const auto& [op, running] : running_) {
        all.insert(all.end(), running.begin(), running.end());
    }
    return all;
}

void Reference::forward(const Op& op, const Convolution& a, Mode) {
    const Grid& x = input_of(op);
    Grid& y = output_of(op);
    const Grouping group(a, x.shape);
    const std::vector<double>& weights = weights_of(op, 0);
    for_each(y, [&](auto n, auto k, auto p, auto q) {
        double sum = a.bias ? weights_of(op, 1)[at(k)] : 0.0;
        for (std::int64_t c = 0; c < group.per_group; ++c) {
            for_window(a.window, x.shape, p, q, [&](auto h, auto w, auto r, auto s) {
                sum += weights[group.weight(k, c, r, s)] * x.at(n, group.channel(k, c), h, w);
            });
        }
        y.at(n, k, p, q) = sum;
    });
}

void Reference::backward(const Op& op, const Convolution& a, const Grid& dy) {
    const Grid& x = input_of(op);
    Grid& dx = input_gradient_of(op);
    const Grouping group(a, x.shape);
    const std::vector<double>& weights = weights_of(op, 0);
    std::vector<double>& dw = weight_gradients_of(op, 0);
    for_each(dy, [&](auto n, auto k, auto p, auto q) {
        const double g = dy.at(n, k, p, q);
        for (std::int64_t c = 0; c < group.per_group; ++c) {
            for_window(a.window, x.shape, p, q, [&](auto h, auto w, auto r, auto s) {
                dw[group.weight(k, c, r, s)] += g * x.at(n, group.channel(k, c), h, w);
                dx.at(n, group.channel(k, c), h, w) += g * weights[group.weight(k, c, r, s)];
            });
        }
        if (a.bias) {
            weight_gradients_of(op, 1)[at(k)] += g;
        }
    });
}

void Reference::forward(const Op& op, const FullyConnected& a, Mode) {
    const Grid& x = input_of(op);
    const std::int64_t inputs = x.shape.elements();
    for (std::int64_t n = 0; n < batch_; ++n) {
        for (std::int64_t o = 0; o < a.outputs; ++o) {
            double sum = weights_of(op, 1)[at(o)];
            for (std::int64_t i = 0; i < inputs; ++i) {
                sum += weights_of(op, 0)[at(o * inputs + i)] * x.values[at(n * inputs + i)];
            }
            output_of(op).at(n, o, 0, 0) = sum;
        }
    }
}

void Reference::backward(const Op& op, const FullyConnected& a, const Grid& dy) {
    const Grid& x = input_of(op);
    Grid& dx = input_gradient_of(op);
    const std::int64_t inputs = x.shape.elements();
    for (std::int64_t n = 0; n < batch_; ++n) {
        for (std::int64_t o = 0; o < a.outputs; ++o) {
            const double g = dy.at(n, o, 0, 0);
            weight_gradients_of(op, 1)[at(o)] += g;
            for (std::int64_t i = 0; i < inputs; ++i) {
                weight_gradients_of(op, 0)[at(o * inputs + i)] += g * x.values[at(n * inputs + i)];
                dx.values[at(n * inputs + i)] += g * weights_of(op, 0)[at(o * inputs + i)];
            }
        }
    }
}

void Reference::forward(const Op& op, const Relu&, Mode) {
    output_of(op).values = input_of(op).values;
    rectify(output_of(op));
}

void Reference::backward(const Op& op, const Relu&, const Grid& dy) {
    for (std::size_t i = 0; i < dy.values.size(); ++i) {
        input_gradient_of(op).values[i] += output_of(op).values[i] > 0 ? dy.values[i] : 0.0;
    }
}

void Reference::forward(const Op& op, const MaxPool& a, Mode) {
    const Grid& x = input_of(op);
    for_each(output_of(op), [&](auto n, auto c, auto p, auto q) {
        double largest = -HUGE_VAL;
        for_window(a.window, x.shape, p, q, [&](auto h, auto w, auto, auto) {
            largest = std::max(largest, x.at(n, c, h, w));
        });
        output_of(op).at(n, c, p, q) = largest;
    });
}

void Reference::backward(const Op& op, const MaxPool& a, const Grid& dy) {
    const Grid& x = input_of(op);
    for_each(dy, [&](auto n, auto c, auto p, auto q) {
        bool given = false;  // only the first maximum gets the gradient
        for_window(a.window, x.shape, p, q, [&](auto h, auto w, auto, auto) {
            if (!given && x.at(n, c, h, w) == output_of(op).at(n, c, p, q)) {
                input_gradient_of(op).at(n, c, h, w) += dy.at(n, c, p, q);
                given = true;
            }
        });
    });
}

void Reference::forward(const Op& op, const AveragePool& a, Mode) {
    const Grid& x = input_of(op);
    for_each(output_of(op), [&](auto n, auto c, auto p, auto q) {
        double sum = 0;
        int count = 0;
        for_window(a.window, x.shape, p, q, [&](auto h, auto w, auto, auto) {
            sum += x.at(n, c, h, w);
            ++count;
        });
        output_of(op).at(n, c, p, q) = sum / count;
    });
}

void Reference::backward(const Op& op, const AveragePool& a, const Grid& dy) {
    const Shape extents = input_of(op).shape;
    for_each(dy, [&](auto n, auto c, auto p, auto q) {
        int count = 0;
        for_window(a.window, extents, p, q, [&](auto, auto, auto, auto) { ++count; });
        for_window(a.window, extents, p, q, [&](auto h, auto w, auto, auto) {
            input_gradient_of(op).at(n, c, h, w) += dy.at(n, c, p, q) / count;
        });
    });
}

void Reference::forward(const Op& op, const Dropout& a, Mode mode) {
    const Grid& x = input_of(op);
    const double scale = 1.0 / (1.0 - static_cast<double>(a.probability));
    for (std::size_t i = 0; i < x.values.size(); ++i) {
        const double factor = kept_[op.id.value].empty() || kept_[op.id.value][i] ? scale : 0.0;
        output_of(op).values[i] = x.values[i] * (mode == Mode::training ? factor : 1.0);
    }
}

void Reference::backward(const Op& op, const Dropout& a, const Grid& dy) {
    const double scale = 1.0 / (1.0 - static_cast<double>(a.probability));
    for (std::size_t i = 0; i < dy.values.size(); ++i) {
        input_gradient_of(op).values[i] += kept_[op.id.value][i] ? scale * dy.values[i] : 0.0;
    }
}

void Reference::forward(const Op& op, const Add&, Mode) {
    for (std::size_t i = 0; i < output_of(op).values.size(); ++i) {
        output_of(op).values[i] = input_of(op, 0).values[i] + input_of(op, 1).values[i];
    }
}

void Reference::backward(const Op& op, const Add&, const Grid& dy) {
    for (std::size_t i = 0; i < dy.values.size(); ++i) {
        input_gradient_of(op, 0).values[i] += dy.values[i];
        input_gradient_of(op, 1).values[i] += dy.values[i];
    }
}

void Reference::forward(const Op& op, const Concat&, Mode) {
    std::int64_t first = 0;
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
        const Grid& x = input_of(op, i);
        for_each(x, [&](auto n, auto c, auto h, auto w) {
            output_of(op).at(n, first + c, h, w) = x.at(n, c, h, w);
        });
        first += x.shape.channels;
    }
}

void Reference::backward(const Op& op, const Concat&, const Grid& dy) {
    std::int64_t first = 0;
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
        Grid& dx = input_gradient_of(op, i);
        for_each(dx, [&](auto n, auto c, auto h, auto w) {
            dx.at(n, c, h, w) += dy.at(n, first + c, h, w);
        });
        first += dx.shape.channels;
    }
}

void Reference::forward(const Op& op, const SoftmaxLoss&, Mode) {
    const Grid& x = input_of(op);
    for (std::int64_t n = 0; n < batch_; ++n) {
        double sum = 0;
        for (std::int64_t c = 0; c < x.shape.channels; ++c) {
            sum += std::exp(x.at(n, c, 0, 0));
        }
        output_of(op).at(n, 0, 0, 0) = std::log(sum) - x.at(n, labels_[at(n)], 0, 0);
    }
}

void Reference::backward(const Op& op, const SoftmaxLoss& a, const Grid&) {
    const Grid& x = input_of(op);
    for (std::int64_t n = 0; n < batch_; ++n) {
        const std::int64_t label = labels_[at(n)];
        const double log_sum = output_of(op).at(n, 0, 0, 0) + x.at(n, label, 0, 0);
        for (std::int64_t c = 0; c < x.shape.channels; ++c) {
            const double p = std::exp(x.at(n, c, 0, 0) - log_sum);
            input_gradient_of(op).at(n, c, 0, 0) += static_cast<double>(a.weight) *
                                                    (p - (c == label ? 1.0 : 0.0)) /
                                                    static_cast<double>(batch_);
        }
    }
}

}  // namespace layerledger::conformance
