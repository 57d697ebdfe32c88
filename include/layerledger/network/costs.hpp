// How much work a network is: floating-point operations and bytes, per operation, layer and phase.
//
// Counts follow the usual conventions of performance models of CNN layers (Qi, Sparks, Talwalkar:
// Paleo, ICLR 2017; Gianniti, Zhang, Ardagna, SBAC-PAD 2018): direct convolution, transcendentals
// as one operation. For a batch of N images and e bytes an element, with X input and Y output
// elements of the batch, W weights, K channels, A multiply-adds, windows of k x k:
//
//   operation           FLOPs forward / backward        bytes forward / backward
//   convolution, fully  2A / 2A weights + 2A data *     e(X+W+Y) / the same for each
//     ... their bias    Y / Y                           eK / e(Y+K)
//   max_pool            k*k*Y / Y                       e(X+Y) + Y / the same (1 index byte)
//   average_pool        (k*k+1)Y / the same             e(X+Y) / the same
//   lrn over n          (n+5)Y / (2n+8)Y                2eX / 4eX
//   batch_norm          7Y / 11Y                        3eX + 4eK / 5eX + 4eK
//   relu                Y / Y                           2eX / 3eX
//   dropout             2Y / Y                          2eX + X / the same (1 mask byte)
//   add, concat         Y, 0 / 0                        3eY, 2eY / 0, 2eY
//   softmax_loss        5X / X + N                      2eX / 2eX
//   a rectifier inside  Y / Y                           0 / 3eY (in batch_norm eY)
//   a shared output     - / X                           - / eX, in all readers but the last
//   update, s states    (2s+3) a parameter              4(2s+3) a parameter, always fp32
//
// * no data gradient, and no backward at all without parameters, where the input needs none.
#pragma once

#include <cstdint>

#include "layerledger/base/phase.hpp"
#include "layerledger/network/network.hpp"

namespace layerledger {

/// Work of one phase for a whole per-rank batch.
struct Cost {
    double flops = 0;  ///< a multiply-add counts as 2
    double bytes = 0;  ///< lowest traffic: every operand read once, every result written once

    Cost& operator+=(const Cost& other) noexcept {
        flops += other.flops;
        bytes += other.bytes;
        return *this;
    }
};

/// What the numbers depend on beside the network.
struct CostBasis {
    std::int64_t batch = 1;
    std::int64_t element_bytes = 4;  ///< of activations: 4 for fp32, 2 for bf16
    std::int64_t optimizer_states =
        1;  ///< per parameter: SGD 0, momentum and Adagrad 1, Adadelta 2
};

[[nodiscard]] Cost op_cost(const Network& network, OpId op, Phase phase, const CostBasis& basis);
[[nodiscard]] Cost layer_cost(const Network& network, LayerId layer, Phase phase,
                              const CostBasis& basis);

/// Multiply-adds of one image's forward pass in convolutions and fully connected layers, without
/// auxiliary classifiers: the number that papers quote.
[[nodiscard]] std::int64_t forward_macs(const Network& network);

/// Elements of the parameters of a layer.
[[nodiscard]] std::int64_t layer_parameters(const Network& network, LayerId layer);

}  // namespace layerledger
