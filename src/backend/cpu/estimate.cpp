#include "estimate.hpp"

#include <omp.h>

#include <algorithm>

#include "convolution.hpp"

namespace layerledger::cpu {
namespace {

// Layouts hold channels in blocks of 16; the images stay as they come.
std::int64_t kept_elements(const Op& op) {
    const Shape& shape = op.output;
    const std::int64_t block = op.inputs.empty() || shape.height * shape.width == 1 ? 1 : 16;
    return (shape.channels + block - 1) / block * block * shape.height * shape.width;
}

// Transformed input, output and weights of Winograd's F(4x4, 3x3): 36 values for each tile of 16.
// Every thread sums the gradient of the weights on its own.
std::int64_t winograd_floats(const Convolution& convolution, const Shape& input,
                             const Shape& output, const CompileOptions& options) {
    if (!winograd_pays(convolution, input, output, options.batch)) {
        return 0;
    }
    const std::int64_t tiles = options.batch * ((output.height + 3) / 4) * ((output.width + 3) / 4);
    const std::int64_t copies = options.inference_only ? 1 : 1 + omp_get_max_threads();
    return 36 *
           (tiles * (input.channels + output.channels) + copies * input.channels * output.channels);
}

// Every reader brings a gradient of its own, but a residual add hands its own one on.
std::int64_t own_gradients(const Network& network, OpId op) {
    const auto readers = network.consumers(op);
    return std::count_if(readers.begin(), readers.end(), [&](OpId reader) {
        return !std::holds_alternative<Add>(network.op(reader).attributes);
    });
}

}  // namespace

std::size_t estimate_bytes(const Network& network, const CompileOptions& options) {
    const std::int64_t element = options.precision == Precision::bf16 ? 2 : 4;
    std::int64_t bytes = 0;
    std::int64_t scratch = 0;
    for (const Op& op : network.ops()) {
        const std::int64_t elements = options.batch * kept_elements(op);
        bytes += element * elements;
        const bool gradient = network.needs_gradient(op.id) || options.gradients_of_input;
        if (gradient && !options.inference_only) {
            bytes += element * elements * own_gradients(network, op.id);
        }
        if (std::holds_alternative<MaxPool>(op.attributes) ||
            std::holds_alternative<Dropout>(op.attributes)) {
            bytes += elements;  // where the maximum was, what was kept: a byte each
        } else if (std::holds_alternative<LocalResponseNorm>(op.attributes)) {
            bytes += 2 * element * elements;
        } else if (const auto* c = std::get_if<Convolution>(&op.attributes);
                   c != nullptr && options.precision == Precision::fp32) {
            scratch = std::max(scratch, 4 * winograd_floats(*c, network.op(op.inputs[0]).output,
                                                            op.output, options));
        }
    }
    if (options.precision == Precision::bf16) {
        // The weights once more in bf16, for each direction.
        bytes += (options.inference_only ? 2 : 4) * network.parameter_elements();
    }
    return static_cast<std::size_t>(bytes + scratch);
}

}  // namespace layerledger::cpu
