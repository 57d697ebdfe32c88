#include "layerledger/network/builder.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/network/costs.hpp"

namespace layerledger {
namespace {

// Number of positions of a window along an axis whose padded extent holds at least one.
std::int64_t positions(std::int64_t extent, const Window& window) {
    const std::int64_t room = extent + 2 * window.padding - window.kernel;
    if (!window.ceil_mode) {
        return room / window.stride + 1;
    }
    const std::int64_t count = (room + window.stride - 1) / window.stride + 1;
    // As in Caffe: the last window must start inside the image or its leading padding.
    const bool starts_outside = (count - 1) * window.stride >= extent + window.padding;
    return starts_outside ? count - 1 : count;
}

// A mistake of whoever wrote the architecture down, not of whoever chose it.
void require(bool condition, const std::string& op, std::string_view rule) {
    LL_VALIDATE(condition, ExitCode::internal,
                text("badly described network (", op, ": ", rule, ")"));
}

bool ends_in_rectifier(const Attributes& attributes) {
    return std::visit(
        [](const auto& a) {
            if constexpr (requires { a.relu; }) {
                return a.relu;
            } else {
                return std::is_same_v<std::decay_t<decltype(a)>, Relu>;
            }
        },
        attributes);
}

bool hands_on_to_rectifier(const Attributes& attributes) {
    return ends_in_rectifier(attributes) && (std::holds_alternative<BatchNorm>(attributes) ||
                                             std::holds_alternative<Relu>(attributes));
}

}  // namespace

NetworkBuilder::NetworkBuilder(std::string name, Shape image, std::int64_t classes) {
    network_.name_ = std::move(name);
    network_.classes_ = classes;
    Op images;
    images.output = image;
    network_.ops_.push_back(std::move(images));
}

NetworkBuilder& NetworkBuilder::layer(std::string name) {
    Layer next;
    next.id = LayerId{network_.layers_.size()};
    next.name = std::move(name);
    if (network_.layers_.empty()) {
        network_.ops_.front().name = next.name + "/input";
    } else {
        next.first_op = OpId{network_.ops_.size()};
    }
    network_.layers_.push_back(std::move(next));
    return *this;
}

NetworkBuilder& NetworkBuilder::auxiliary_layer(std::string name) {
    layer(std::move(name));
    network_.layers_.back().auxiliary = true;
    return *this;
}

OpId NetworkBuilder::append(std::string_view name, Attributes attributes, std::vector<OpId> inputs,
                            Shape output) {
    require(!network_.layers_.empty(), std::string(name), "operation before the first layer");
    Layer& layer = network_.layers_.back();
    Op op;
    op.id = OpId{network_.ops_.size()};
    op.layer = layer.id;
    op.name = text(layer.name, "/", name);
    op.attributes = attributes;
    op.inputs = std::move(inputs);
    op.output = output;
    for (const OpId input : op.inputs) {
        require(input < op.id, op.name, "reads an operation that comes later");
        require(layer.auxiliary || !network_.layer(network_.op(input).layer).auxiliary, op.name,
                "reads an auxiliary layer, which exists in training only");
    }
    layer.last_op = op.id;
    network_.ops_.push_back(std::move(op));
    return network_.ops_.back().id;
}

void NetworkBuilder::add_parameter(OpId op, ParameterRole role, std::vector<std::int64_t> dims,
                                   std::int64_t fan_in, std::int64_t fan_out) {
    constexpr std::array<std::string_view, 4> role_names{"weight", "bias", "scale", "shift"};
    Op& owner = network_.ops_.at(op.index());
    Parameter parameter;
    parameter.id = ParameterId{network_.parameters_.size()};
    parameter.op = op;
    parameter.name = text(owner.name, "/", role_names.at(static_cast<std::size_t>(role)));
    parameter.role = role;
    parameter.dims = std::move(dims);
    parameter.fan_in = fan_in;
    parameter.fan_out = fan_out;
    owner.parameters.push_back(parameter.id);
    network_.parameters_.push_back(std::move(parameter));
}

Shape NetworkBuilder::windowed(OpId x, const Window& window, std::int64_t channels,
                               std::string_view name) const {
    const Shape in = shape(x);
    require(window.kernel > 0 && window.stride > 0 && window.padding >= 0 &&
                window.padding < window.kernel,
            std::string(name), "window with a stride of 0 or more padding than kernel");
    const std::int64_t needed = window.kernel - 2 * window.padding;
    LL_VALIDATE(std::min(in.height, in.width) >= needed, ExitCode::configuration,
                text("image size ", std::min(network_.input().height, network_.input().width),
                     " is too small for ", network_.name(), " (", network_.layers_.back().name, "/",
                     name, " gets ", in.height, "x", in.width, " and needs ", needed, "x", needed,
                     ") use a larger network.image_size"));
    return {channels, positions(in.height, window), positions(in.width, window)};
}

OpId NetworkBuilder::convolution(OpId x, const Convolution& attributes, std::string_view name) {
    const std::int64_t channels = shape(x).channels;
    const std::int64_t outputs = attributes.output_channels;
    const std::int64_t groups = attributes.groups;
    require(outputs > 0 && groups > 0 && channels % groups == 0 && outputs % groups == 0,
            std::string(name), "groups must divide input and output channels");
    const std::int64_t kernel = attributes.window.kernel;
    const OpId op = append(name, attributes, {x}, windowed(x, attributes.window, outputs, name));
    const std::int64_t fan_in = channels / groups * kernel * kernel;
    const std::int64_t fan_out = outputs / groups * kernel * kernel;
    add_parameter(op, ParameterRole::weight, {outputs, channels / groups, kernel, kernel}, fan_in,
                  fan_out);
    if (attributes.bias) {
        add_parameter(op, ParameterRole::bias, {outputs}, fan_in, fan_out);
    }
    return op;
}

OpId NetworkBuilder::fully_connected(OpId x, const FullyConnected& attributes,
                                     std::string_view name) {
    const std::int64_t inputs = shape(x).elements();
    const std::int64_t outputs = attributes.outputs;
    require(outputs > 0, std::string(name), "no outputs");
    const OpId op = append(name, attributes, {x}, {outputs, 1, 1});
    add_parameter(op, ParameterRole::weight, {outputs, inputs}, inputs, outputs);
    add_parameter(op, ParameterRole::bias, {outputs}, inputs, outputs);
    return op;
}

OpId NetworkBuilder::batch_norm(OpId x, const BatchNorm& attributes, std::string_view name) {
    const std::int64_t channels = shape(x).channels;
    const OpId op = append(name, attributes, {x}, shape(x));
    add_parameter(op, ParameterRole::scale, {channels}, 0, 0);
    add_parameter(op, ParameterRole::shift, {channels}, 0, 0);
    return op;
}

OpId NetworkBuilder::lrn(OpId x, const LocalResponseNorm& attributes, std::string_view name) {
    return append(name, attributes, {x}, shape(x));
}

OpId NetworkBuilder::relu(OpId x, std::string_view name) {
    return append(name, Relu{}, {x}, shape(x));
}

OpId NetworkBuilder::max_pool(OpId x, const Window& window, std::string_view name) {
    return append(name, MaxPool{window}, {x}, windowed(x, window, shape(x).channels, name));
}

OpId NetworkBuilder::average_pool(OpId x, const Window& window, std::string_view name) {
    return append(name, AveragePool{window}, {x}, windowed(x, window, shape(x).channels, name));
}

OpId NetworkBuilder::global_average_pool(OpId x, std::string_view name) {
    require(shape(x).height == shape(x).width, std::string(name), "windows are square");
    return average_pool(x, {.kernel = shape(x).height}, name);
}

OpId NetworkBuilder::dropout(OpId x, float probability, std::string_view name) {
    require(probability >= 0.0F && probability < 1.0F, std::string(name),
            "a probability is at least 0 and less than 1");
    return append(name, Dropout{probability}, {x}, shape(x));
}

OpId NetworkBuilder::add(OpId a, OpId b, const Add& attributes, std::string_view name) {
    require(a != b && shape(a) == shape(b), std::string(name),
            "adds two different outputs of one shape");
    return append(name, attributes, {a, b}, shape(a));
}

OpId NetworkBuilder::concat(std::initializer_list<OpId> xs, std::string_view name) {
    require(xs.size() > 1, std::string(name), "joins two or more");
    Shape joined = shape(*xs.begin());
    joined.channels = 0;
    for (const OpId x : xs) {
        require(shape(x).height == joined.height && shape(x).width == joined.width,
                std::string(name), "joins maps of one size");
        joined.channels += shape(x).channels;
    }
    return append(name, Concat{}, xs, joined);
}

OpId NetworkBuilder::softmax_loss(OpId logits, float weight, std::string_view name) {
    require(shape(logits).elements() == network_.classes(), std::string(name),
            "one logit for each class");
    return append(name, SoftmaxLoss{weight}, {logits}, {1, 1, 1});
}

Network NetworkBuilder::build() && {
    require(!network_.layers_.empty(), network_.name(), "no layers");
    resolve_graph();
    check();
    return std::move(network_);
}

// What can be said only when all operations are known: consumers, gradients, rectifiers, kinds.
void NetworkBuilder::resolve_graph() {
    network_.consumers_.resize(network_.ops_.size());
    for (const Op& op : network_.ops_) {
        bool needs_gradient = !op.parameters.empty();
        for (const OpId input : op.inputs) {
            network_.consumers_[input.index()].push_back(op.id);
            needs_gradient = needs_gradient || network_.needs_gradient(input);
        }
        network_.needs_gradient_.push_back(needs_gradient);
    }
    for (Parameter& parameter : network_.parameters_) {
        const std::span<const OpId> readers = network_.consumers(parameter.op);
        parameter.rectified =
            ends_in_rectifier(network_.op(parameter.op).attributes) ||
            (readers.size() == 1 && hands_on_to_rectifier(network_.op(readers.front()).attributes));
    }
    for (Layer& layer : network_.layers_) {
        require(layer.last_op >= layer.first_op && layer.last_op > input(), layer.name,
                "empty layer");
        const auto work = [this](const Op& op) {
            return op_cost(network_, op.id, Phase::forward, CostBasis{}).flops;
        };
        const std::span<const Op> ops = network_.ops_of(layer.id);
        const auto heaviest = std::max_element(
            ops.begin(), ops.end(), [&](const Op& a, const Op& b) { return work(a) < work(b); });
        layer.kind = kind_name(heaviest->attributes);
    }
}

void NetworkBuilder::check() const {
    std::unordered_set<std::string_view> names;
    for (const Layer& layer : network_.layers_) {
        require(names.insert(layer.name).second, layer.name, "a layer of this name exists");
    }
    int main_losses = 0;
    for (const Op& op : network_.ops_) {
        require(names.insert(op.name).second, op.name, "an operation of this name exists");
        const bool loss = std::holds_alternative<SoftmaxLoss>(op.attributes);
        require(loss == network_.consumers(op.id).empty(), op.name,
                "all outputs but the losses are read by someone");
        main_losses += loss && !network_.layer(op.layer).auxiliary ? 1 : 0;
    }
    require(main_losses == 1, network_.name(), "needs one loss outside of auxiliary layers");
}

}  // namespace layerledger
