// Networks small enough to work out by hand.
#pragma once

#include "layerledger/network/builder.hpp"

namespace layerledger::testing {

/// fc1 with 10 outputs and a rectifier, then the output layer with 3 classes.
inline Network two_layers() {
    NetworkBuilder builder("two_layers", {1, 2, 2}, 3);
    builder.layer("fc1");
    const OpId hidden =
        builder.fully_connected(builder.input(), {.outputs = 10, .relu = true});
    builder.layer("output");
    builder.softmax_loss(builder.fully_connected(hidden, {.outputs = 3}));
    return std::move(builder).build();
}

}  // namespace layerledger::testing
