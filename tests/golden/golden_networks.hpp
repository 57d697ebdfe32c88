// The two networks of generate.py. Together they hold every kind of operation that has no dice in it.
#pragma once

#include "layerledger/network/builder.hpp"

namespace layerledger::golden {

inline constexpr std::uint64_t seed = 11;
inline constexpr std::int64_t batch = 6;
inline constexpr std::int64_t classes = 4;

inline Network plain() {
    NetworkBuilder b("plain", {3, 8, 8}, classes);
    b.layer("conv1");
    OpId x = b.convolution(b.input(),
                           {.output_channels = 8, .window = {.kernel = 3, .padding = 1}, .relu = true});
    x = b.max_pool(x, {.kernel = 2, .stride = 2});
    b.layer("conv2");
    x = b.convolution(x, {.output_channels = 12,
                          .window = {.kernel = 3, .padding = 1},
                          .groups = 2,
                          .relu = true});
    x = b.lrn(x, {.alpha = 0.1F});
    b.layer("fc1");
    x = b.fully_connected(x, {.outputs = 20, .relu = true});
    b.layer("output");
    b.softmax_loss(b.fully_connected(x, {.outputs = classes}));
    return std::move(b).build();
}

inline Network residual() {
    NetworkBuilder b("residual", {3, 8, 8}, classes);
    const Window same{.kernel = 3, .padding = 1};
    b.layer("conv1");
    OpId a = b.convolution(b.input(), {.output_channels = 8, .window = same, .bias = false});
    a = b.batch_norm(a, {.relu = true});
    b.auxiliary_layer("aux");
    const OpId pooled = b.average_pool(a, {.kernel = 2, .stride = 2});
    b.softmax_loss(b.fully_connected(pooled, {.outputs = classes}), 0.3F);
    b.layer("conv2");
    OpId x = b.convolution(a, {.output_channels = 8, .window = same, .bias = false});
    x = b.batch_norm(x, {});
    x = b.add(x, a, {.relu = true});
    b.layer("conv3");
    const OpId left = b.convolution(x, {.output_channels = 8, .relu = true});
    const OpId right = b.max_pool(x, same);
    x = b.concat({left, right});
    b.layer("output");
    x = b.global_average_pool(x);
    b.softmax_loss(b.fully_connected(x, {.outputs = classes}));
    return std::move(b).build();
}

}  // namespace layerledger::golden
