#include "estimate.hpp"

#include <algorithm>

#include "convolution.hpp"

namespace layerledger::cpu {
namespace {

// Layouts hold channels in blocks of 16.
std::int64_t blocked_elements(const Shape& shape) {
    return (shape.channels + 15) / 16 * 16 * shape.height * shape.width;
}

// Transformed input, output and weights of Winograd's F(4x4, 3x3): 36 values for each tile of 16.
std::int64_t winograd_floats(const Convolution& convolution, const Shape& input,
                             const Shape& output, std::int64_t batch) {
    if (!winograd_pays(convolution, input, output, batch)) {
        return 0;
    }
    const std::int64_t tiles = batch * ((output.height + 3) / 4) * ((output.width + 3) / 4);
    return 36 * (tiles * (input.channels + output.channels) + input.channels * output.channels);
}

}  // namespace

std::size_t estimate_bytes(const Network& network, const CompileOptions& options) {
    const std::int64_t element = options.precision == Precision::bf16 ? 2 : 4;
    std::int64_t bytes = 0;
    std::int64_t scratch = 0;
    for (const Op& op : network.ops()) {
        const std::int64_t elements = options.batch * blocked_elements(op.output);
        bytes += element * elements;
        const bool gradient = network.needs_gradient(op.id) || options.gradients_of_input;
        if (gradient && !options.inference_only) {
            bytes += element * elements;
        }
        if (std::holds_alternative<MaxPool>(op.attributes) ||
            std::holds_alternative<Dropout>(op.attributes)) {
            bytes += elements;  // where the maximum was, what was kept: a byte each
        } else if (std::holds_alternative<LocalResponseNorm>(op.attributes)) {
            bytes += 2 * element * elements;
        } else if (const auto* c = std::get_if<Convolution>(&op.attributes);
                   c != nullptr && options.precision == Precision::fp32) {
            scratch = std::max(scratch, 4 * winograd_floats(*c, network.op(op.inputs[0]).output,
                                                            op.output, options.batch));
        }
    }
    return static_cast<std::size_t>(bytes + scratch);
}

}  // namespace layerledger::cpu
