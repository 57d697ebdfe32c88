#include "plan.hpp"

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {

// Rectifiers are undone in place, and an addition hands its gradient on.
bool only_reads_its_gradient(const Op& op) {
    if (const auto* convolution = std::get_if<Convolution>(&op.attributes)) {
        return !convolution->relu;
    }
    if (const auto* connected = std::get_if<FullyConnected>(&op.attributes)) {
        return !connected->relu;
    }
    return !std::holds_alternative<Add>(op.attributes);
}

kernels::Extent extent_of(const Shape& shape, std::int64_t batch, kernels::Type type) {
    return {batch, shape.height, shape.width, padded(shape.channels, type)};
}

ParameterPlace place_of(const Network& network, const Parameter& parameter, kernels::Type type) {
    ParameterPlace place;
    place.rows = padded(parameter.dims[0], type);
    if (parameter.role != ParameterRole::weight) {
        return place;
    }
    const Op& op = network.op(parameter.op);
    if (parameter.dims.size() == 4) {
        place.spots = parameter.dims[2] * parameter.dims[3];
        const auto& convolution = std::get<Convolution>(op.attributes);
        // Groups cannot be padded: their channels lie one group behind the other.
        place.columns =
            convolution.groups > 1 ? parameter.dims[1] : padded(parameter.dims[1], type);
    } else {
        const Shape& input = network.op(op.inputs[0]).output;
        place.spots = input.height * input.width;
        place.columns = padded(input.channels, type);
    }
    return place;
}

Plan::Plan(Gpu& gpu, ConvolutionEngines& engines, const Network& network,
           const CompileOptions& options)
    : gpu_(gpu),
      network_(network),
      options_(options),
      type_(options.precision == Precision::bf16 ? kernels::Type::bf16 : kernels::Type::fp32),
      engines_(engines),
      written_(network.ops().size(), false),
      labels_(static_cast<std::size_t>(options.batch) * sizeof(std::int32_t)) {
    for (const Op& op : network.ops()) {
        Tensor tensor;
        tensor.extent = extent_of(op.output, options.batch, type_);
        tensor.channels = op.output.channels;
        tensor.bytes = static_cast<std::size_t>(tensor.extent.elements()) * kernels::size_of(type_);
        // A loss is a number for each image, in memory of its operation.
        if (!std::holds_alternative<SoftmaxLoss>(op.attributes)) {
            tensor.data = allocate(tensor.bytes);
        }
        tensors_.push_back(tensor);
    }
    for (const Parameter& parameter : network.parameters()) {
        parameters_.push_back(place_of(network, parameter, type_));
    }
}

Plan::~Plan() {
    gpu_.drop_cast(bound_);
}

void* Plan::allocate(std::size_t bytes) {
    allocated_bytes_ += bytes;
    return memory_.emplace_back(bytes).data();
}

GradientTarget Plan::target(OpId input) {
    if (!wants_gradient(input)) {
        return {};
    }
    Tensor& tensor = this->tensor(input);
    const bool written = written_[input.index()];
    if (!written) {
        written_[input.index()] = true;
        tensor.gradient = allocate(tensor.bytes);
    }
    return {tensor.gradient, written};
}

// Of an addition's inputs the later one, `high`, is read first in the backward pass. It may share
// the memory if its producer alone reads it and changes nothing; the other, `low`, if all its
// further readers, which add to it, come before that producer and so run after it.
bool Plan::hand_on(OpId input, OpId reader, OpId other, GradientTarget& target) {
    if (!wants_gradient(input)) {
        target = {};
        return true;
    }
    const auto readers = network_.consumers(input);
    const bool is_high = input > other;
    const bool safe = !written_[input.index()] && input != other &&
                      (is_high ? readers.size() == 1 && only_reads_its_gradient(network_.op(input))
                               : std::all_of(readers.begin(), readers.end(),
                                             [&](OpId id) { return id == reader || id < other; }));
    if (safe) {
        written_[input.index()] = true;
        tensor(input).gradient = tensor(reader).gradient;
        target = {tensor(input).gradient, false};
        return true;
    }
    target = this->target(input);
    return false;
}

void Plan::want_sums(std::int64_t channels) {
    sum_floats_ =
        std::max(sum_floats_, static_cast<std::size_t>(2 * kernels::partial_sums * channels));
}

void Plan::finish() {
    engines_.remember();
    workspace_ = DeviceMemory(workspace_bytes_);
    sums_ = DeviceMemory(sum_floats_ * sizeof(float));
    weight_gradient_ = DeviceMemory(weight_elements_ * kernels::size_of(type_));
    allocated_bytes_ += workspace_.bytes() + sums_.bytes() + weight_gradient_.bytes();
}

void Plan::bind(DeviceSpan parameters, DeviceSpan gradients, std::span<const std::size_t> offsets) {
    LL_EXPECT(offsets.size() == parameters_.size());
    gpu_.drop_cast(bound_);
    bound_ = parameters;
    const kernels::Bf16* cast = type_ == kernels::Type::bf16 ? gpu_.keep_cast(parameters) : nullptr;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
        ParameterPlace& place = parameters_[i];
        LL_EXPECT(offsets[i] + place.storage() <= parameters.size);
        place.values = parameters.data + offsets[i];
        place.gradient = gradients.data + offsets[i];
        place.typed = cast != nullptr ? static_cast<const void*>(cast + offsets[i]) : place.values;
    }
}

}  // namespace layerledger::cuda
