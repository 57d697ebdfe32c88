// ReLU inside other operations.
#pragma once

#include "program.hpp"

namespace layerledger::cpu {

/// Primitive attributes that append a rectifier if `relu`.
[[nodiscard]] dnnl::primitive_attr rectified(bool relu);

/// The gradient before the operation's own rectifier: zero where its output is zero. Works in place
/// unless others read the gradient. Without `relu` the tensor's gradient as it is.
[[nodiscard]] Memory gradient_before_rectifier(Program& program, OpId op, bool relu,
                                               Sequence& backward);

}  // namespace layerledger::cpu
