#include "layerledger/network/costs.hpp"

namespace layerledger {
namespace {

// What the formulas need to know of one operation. Counts are of elements, for the whole batch.
struct Extent {
    double batch;
    double x;     // first input
    double y;     // output
    double macs;  // multiply-adds of convolution and fully connected
    double weights;
    double biases;
    double channels;  // of the output
    double e;         // bytes per element
};

constexpr double index_bytes = 1;  // per output of max_pool: where in the window the maximum was
constexpr double mask_bytes = 1;   // per element of dropout

double positions(const Window& window) {
    return static_cast<double>(window.kernel * window.kernel);
}

Cost operator+(Cost a, const Cost& b) {
    return a += b;
}

// A rectifier at the end of another operation: no traffic of its own on the way forward; on the
// way back a pass that reads the output and its gradient and rewrites the gradient.
Cost rectifier_forward(bool relu, const Extent& s) {
    return {relu ? s.y : 0, 0};
}
Cost rectifier_backward(bool relu, const Extent& s) {
    return relu ? Cost{s.y, 3 * s.e * s.y} : Cost{};
}

// Convolution and fully connected: one matrix product per pass.
Cost product_pass(const Extent& s) {
    return {2 * s.macs, s.e * (s.x + s.weights + s.y)};
}

Cost product_forward(bool relu, const Extent& s) {
    const Cost bias = s.biases > 0 ? Cost{s.y, s.e * s.biases} : Cost{};
    return product_pass(s) + bias + rectifier_forward(relu, s);
}

Cost product_backward(bool relu, bool data_gradient, const Extent& s) {
    const Cost weights = product_pass(s);
    const Cost bias = s.biases > 0 ? Cost{s.y, s.e * (s.y + s.biases)} : Cost{};
    const Cost data = data_gradient ? product_pass(s) : Cost{};
    return weights + bias + data + rectifier_backward(relu, s);
}

struct Forward {
    const Extent& s;

    Cost operator()(const Input&) const { return {}; }
    Cost operator()(const Convolution& a) const { return product_forward(a.relu, s); }
    Cost operator()(const FullyConnected& a) const { return product_forward(a.relu, s); }
    // The statistics need one read, the normalization another.
    Cost operator()(const BatchNorm& a) const {
        return Cost{7 * s.y, s.e * (3 * s.x + 4 * s.channels)} + rectifier_forward(a.relu, s);
    }
    Cost operator()(const LocalResponseNorm& a) const {
        return {static_cast<double>(a.size + 5) * s.y, 2 * s.e * s.x};
    }
    Cost operator()(const Relu&) const { return {s.y, 2 * s.e * s.x}; }
    Cost operator()(const MaxPool& a) const {
        return {positions(a.window) * s.y, s.e * (s.x + s.y) + index_bytes * s.y};
    }
    Cost operator()(const AveragePool& a) const {
        return {(positions(a.window) + 1) * s.y, s.e * (s.x + s.y)};
    }
    Cost operator()(const Dropout&) const { return {2 * s.y, (2 * s.e + mask_bytes) * s.x}; }
    Cost operator()(const Add& a) const {
        return Cost{s.y, 3 * s.e * s.y} + rectifier_forward(a.relu, s);
    }
    Cost operator()(const Concat&) const { return {0, 2 * s.e * s.y}; }
    Cost operator()(const SoftmaxLoss&) const { return {5 * s.x, 2 * s.e * s.x}; }
};

struct Backward {
    const Extent& s;
    bool data_gradient;

    Cost operator()(const Input&) const { return {}; }
    Cost operator()(const Convolution& a) const {
        return product_backward(a.relu, data_gradient, s);
    }
    Cost operator()(const FullyConnected& a) const {
        return product_backward(a.relu, data_gradient, s);
    }
    // Its rectifier goes along in the same passes and costs one look at the output.
    Cost operator()(const BatchNorm& a) const {
        return Cost{11 * s.y, s.e * (5 * s.x + 4 * s.channels)} +
               (a.relu ? Cost{s.y, s.e * s.y} : Cost{});
    }
    Cost operator()(const LocalResponseNorm& a) const {
        return {static_cast<double>(2 * a.size + 8) * s.y, 4 * s.e * s.x};
    }
    Cost operator()(const Relu&) const { return {s.y, 3 * s.e * s.x}; }
    Cost operator()(const MaxPool&) const { return {s.y, s.e * (s.x + s.y) + index_bytes * s.y}; }
    Cost operator()(const AveragePool& a) const {
        return {(positions(a.window) + 1) * s.y, s.e * (s.x + s.y)};
    }
    Cost operator()(const Dropout&) const { return {s.y, (2 * s.e + mask_bytes) * s.x}; }
    // Both inputs share the gradient of the sum.
    Cost operator()(const Add& a) const { return rectifier_backward(a.relu, s); }
    Cost operator()(const Concat&) const { return {0, 2 * s.e * s.y}; }
    Cost operator()(const SoftmaxLoss&) const { return {s.x + s.batch, 2 * s.e * s.x}; }
};

// Every weight takes part once for each position of the output map.
std::int64_t macs_of(const Network& network, const Op& op) {
    if (!std::holds_alternative<Convolution>(op.attributes) &&
        !std::holds_alternative<FullyConnected>(op.attributes)) {
        return 0;
    }
    const Parameter& weight = network.parameter(op.parameters.front());
    return weight.elements() * op.output.height * op.output.width;
}

double elements(const Network& network, const Op& op, ParameterRole role) {
    double sum = 0;
    for (const ParameterId id : op.parameters) {
        const Parameter& parameter = network.parameter(id);
        sum += parameter.role == role ? static_cast<double>(parameter.elements()) : 0;
    }
    return sum;
}

Extent extent_of(const Network& network, const Op& op, const CostBasis& basis) {
    const auto batch = static_cast<double>(basis.batch);
    const Shape x = op.inputs.empty() ? Shape{} : network.op(op.inputs.front()).output;
    return {.batch = batch,
            .x = batch * static_cast<double>(x.elements()),
            .y = batch * static_cast<double>(op.output.elements()),
            .macs = batch * static_cast<double>(macs_of(network, op)),
            .weights = elements(network, op, ParameterRole::weight),
            .biases = elements(network, op, ParameterRole::bias),
            .channels = static_cast<double>(op.output.channels),
            .e = static_cast<double>(basis.element_bytes)};
}

// An output that several operations read gets several gradients. The last reader is the first on
// the way back and writes; each other one adds to what is there, which it has to read.
Cost accumulation(const Network& network, const Op& op, const CostBasis& basis) {
    Cost cost;
    for (const OpId input : op.inputs) {
        if (network.needs_gradient(input) && network.consumers(input).back() != op.id) {
            const auto x = static_cast<double>(basis.batch * network.op(input).output.elements());
            cost += {x, x * static_cast<double>(basis.element_bytes)};
        }
    }
    return cost;
}

Cost backward_cost(const Network& network, const Op& op, const CostBasis& basis) {
    if (!network.needs_gradient(op.id)) {
        return {};
    }
    const bool data_gradient = network.needs_gradient(op.inputs.front());
    const Extent extent = extent_of(network, op, basis);
    return std::visit(Backward{extent, data_gradient}, op.attributes) +
           accumulation(network, op, basis);
}

// Per parameter of the fp32 master copy: weight decay, step and addition, and per state of the
// optimizer its own update. Reads weight and gradient, writes weight, reads and writes each state.
Cost update_cost(const Network& network, const Op& op, const CostBasis& basis) {
    constexpr double master_bytes = 4;
    double parameters = 0;
    for (const ParameterId id : op.parameters) {
        parameters += static_cast<double>(network.parameter(id).elements());
    }
    const auto touches = static_cast<double>(2 * basis.optimizer_states + 3);
    return {touches * parameters, touches * master_bytes * parameters};
}

}  // namespace

Cost op_cost(const Network& network, OpId op, Phase phase, const CostBasis& basis) {
    const Op& of = network.op(op);
    switch (phase) {
        case Phase::forward: {
            const Extent extent = extent_of(network, of, basis);
            return std::visit(Forward{extent}, of.attributes);
        }
        case Phase::backward: return backward_cost(network, of, basis);
        case Phase::update: return update_cost(network, of, basis);
    }
    return {};
}

Cost layer_cost(const Network& network, LayerId layer, Phase phase, const CostBasis& basis) {
    Cost sum;
    for (const Op& op : network.ops_of(layer)) {
        sum += op_cost(network, op.id, phase, basis);
    }
    return sum;
}

std::int64_t forward_macs(const Network& network) {
    std::int64_t sum = 0;
    for (const Op& op : network.ops()) {
        if (!network.layer(op.layer).auxiliary) {
            sum += macs_of(network, op);
        }
    }
    return sum;
}

std::int64_t layer_parameters(const Network& network, LayerId layer) {
    std::int64_t sum = 0;
    for (const Op& op : network.ops_of(layer)) {
        for (const ParameterId id : op.parameters) {
            sum += network.parameter(id).elements();
        }
    }
    return sum;
}

}  // namespace layerledger
