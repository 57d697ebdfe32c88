// A network computed in double precision by straight loops, to be compared with.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "layerledger/device/backend.hpp"
#include "layerledger/network/network.hpp"

namespace layerledger::conformance {

/// Values of one tensor as [N, C, H, W].
struct Grid {
    Grid() = default;
    Grid(std::int64_t images, const Shape& extents)
        : batch(images),
          shape(extents),
          values(static_cast<std::size_t>(images * extents.elements())) {}

    [[nodiscard]] double& at(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
        return values[index(n, c, h, w)];
    }
    [[nodiscard]] double at(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) const {
        return values[index(n, c, h, w)];
    }
    [[nodiscard]] std::size_t index(std::int64_t n, std::int64_t c, std::int64_t h,
                                    std::int64_t w) const {
        return static_cast<std::size_t>(
            ((n * shape.channels + c) * shape.height + h) * shape.width + w);
    }

    std::int64_t batch = 0;
    Shape shape;
    std::vector<double> values;
};

class Reference {
public:
    Reference(const Network& network, std::int64_t batch);

    [[nodiscard]] std::vector<double>& parameter(ParameterId id) {
        return parameters_.at(id.index());
    }
    [[nodiscard]] const std::vector<double>& parameter_gradient(ParameterId id) const {
        return parameter_gradients_.at(id.index());
    }
    [[nodiscard]] Grid& images() { return outputs_.front(); }
    [[nodiscard]] std::vector<std::int32_t>& labels() { return labels_; }
    /// Which elements a dropout keeps, as the device under test drew them.
    void keep(OpId dropout, std::vector<bool> kept) { kept_[dropout.value] = std::move(kept); }

    /// Takes the device's output for its own, so that backward starts where the device stands: a
    /// rounded value may choose another maximum, which is no error of the gradient.
    void adopt(OpId id, const std::vector<float>& output) {
        outputs_.at(id.index()).values.assign(output.begin(), output.end());
    }

    void forward(Mode mode);
    void backward();

    [[nodiscard]] const Grid& output(OpId id) const { return outputs_.at(id.index()); }
    /// The gradient with respect to the output, before the operation's own rectifier is undone.
    [[nodiscard]] const Grid& gradient(OpId id) const { return gradients_.at(id.index()); }
    /// What training minimises: losses of all classifiers, weighted, averaged over the batch.
    [[nodiscard]] double objective() const;
    /// Means, then variances, of each batch norm in order of operations.
    [[nodiscard]] std::vector<double> statistics() const;

private:
    void forward_op(const Op& op, Mode mode);
    void backward_op(const Op& op);

    void forward(const Op&, const Input&, Mode) {}
    void forward(const Op&, const Convolution&, Mode);
    void forward(const Op&, const FullyConnected&, Mode);
    void forward(const Op&, const BatchNorm&, Mode);
    void forward(const Op&, const LocalResponseNorm&, Mode);
    void forward(const Op&, const Relu&, Mode);
    void forward(const Op&, const MaxPool&, Mode);
    void forward(const Op&, const AveragePool&, Mode);
    void forward(const Op&, const Dropout&, Mode);
    void forward(const Op&, const Add&, Mode);
    void forward(const Op&, const Concat&, Mode);
    void forward(const Op&, const SoftmaxLoss&, Mode);

    // `dy` is the gradient after the operation's own rectifier has been undone.
    void backward(const Op&, const Input&, const Grid&) {}
    void backward(const Op&, const Convolution&, const Grid& dy);
    void backward(const Op&, const FullyConnected&, const Grid& dy);
    void backward(const Op&, const BatchNorm&, const Grid& dy);
    void backward(const Op&, const LocalResponseNorm&, const Grid& dy);
    void backward(const Op&, const Relu&, const Grid& dy);
    void backward(const Op&, const MaxPool&, const Grid& dy);
    void backward(const Op&, const AveragePool&, const Grid& dy);
    void backward(const Op&, const Dropout&, const Grid& dy);
    void backward(const Op&, const Add&, const Grid& dy);
    void backward(const Op&, const Concat&, const Grid& dy);
    void backward(const Op&, const SoftmaxLoss&, const Grid& dy);

    [[nodiscard]] const Grid& input_of(const Op& op, std::size_t i = 0) const {
        return outputs_[op.inputs[i].index()];
    }
    [[nodiscard]] Grid& input_gradient_of(const Op& op, std::size_t i = 0) {
        return gradients_[op.inputs[i].index()];
    }
    [[nodiscard]] Grid& output_of(const Op& op) { return outputs_[op.id.index()]; }
    [[nodiscard]] std::vector<double>& weights_of(const Op& op, std::size_t i) {
        return parameters_[op.parameters[i].index()];
    }
    [[nodiscard]] std::vector<double>& weight_gradients_of(const Op& op, std::size_t i) {
        return parameter_gradients_[op.parameters[i].index()];
    }

    const Network& network_;
    std::int64_t batch_;
    std::vector<Grid> outputs_;
    std::vector<Grid> gradients_;
    std::vector<std::vector<double>> parameters_;
    std::vector<std::vector<double>> parameter_gradients_;
    std::vector<std::int32_t> labels_;
    std::map<std::int32_t, std::vector<bool>> kept_;
    std::map<std::int32_t, std::vector<double>> running_;  // by batch norm
};

}  // namespace layerledger::conformance
