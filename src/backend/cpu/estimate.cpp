#include "estimate.hpp"

#include <omp.h>

#include <algorithm>
#include <limits>

#include "convolution.hpp"

namespace layerledger::cpu {
namespace {

// Sums are of doubles: a batch that no memory could hold must not overflow into one that fits.

// Layouts hold channels in blocks of 16; the images stay as they come.
double kept_elements(const Op& op, std::int64_t batch) {
    const Shape& shape = op.output;
    const std::int64_t block = op.inputs.empty() || shape.height * shape.width == 1 ? 1 : 16;
    const std::int64_t channels = (shape.channels + block - 1) / block * block;
    return static_cast<double>(batch) * static_cast<double>(channels) *
           static_cast<double>(shape.height * shape.width);
}

// Transformed input, output and weights of Winograd's F(4x4, 3x3): 36 values for each tile of 16.
// Every thread sums the gradient of the weights on its own.
double winograd_floats(const Convolution& convolution, const Shape& input, const Shape& output,
                       const CompileOptions& options) {
    if (!winograd_pays(convolution, input, output, options.batch)) {
        return 0;
    }
    const auto tiles = static_cast<double>(options.batch) *
                       static_cast<double>((output.height + 3) / 4 * ((output.width + 3) / 4));
    const double copies = options.inference_only ? 1 : 1 + omp_get_max_threads();
    const auto from = static_cast<double>(input.channels);
    const auto to = static_cast<double>(output.channels);
    return 36 * (tiles * (from + to) + copies * from * to);
}

// Every reader brings a gradient of its own, but a residual add hands its own one on.
double own_gradients(const Network& network, OpId op) {
    const auto readers = network.consumers(op);
    return static_cast<double>(std::count_if(readers.begin(), readers.end(), [&](OpId reader) {
        return !std::holds_alternative<Add>(network.op(reader).attributes);
    }));
}

}  // namespace

std::size_t estimate_bytes(const Network& network, const CompileOptions& options) {
    const double element = options.precision == Precision::bf16 ? 2 : 4;
    double bytes = 0;
    double scratch = 0;
    for (const Op& op : network.ops()) {
        const double elements = kept_elements(op, options.batch);
        bytes += element * elements;
        const bool gradient = network.needs_gradient(op.id) || options.gradients_of_input;
        if (gradient && !options.inference_only) {
            bytes += element * elements * own_gradients(network, op.id);
        }
        if (std::holds_alternative<MaxPool>(op.attributes)) {
            bytes += elements;  // where the maximum was, a byte each
        } else if (std::holds_alternative<Dropout>(op.attributes)) {
            // What was kept, a byte each; where planes may lie in blocks, in [N, C, H, W] too.
            bytes += (op.output.height * op.output.width > 1 ? 2 : 1) * elements;
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
        bytes +=
            (options.inference_only ? 2 : 4) * static_cast<double>(network.parameter_elements());
    }
    // As a double the largest size is 2^64, one more than it can hold.
    constexpr std::size_t largest = std::numeric_limits<std::size_t>::max();
    const double total = bytes + scratch;
    return total < static_cast<double>(largest) ? static_cast<std::size_t>(total) : largest;
}

}  // namespace layerledger::cpu
