#include "architectures.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::architectures {

OpId Rectified::convolution(OpId x, std::int64_t channels, const Window& window,
                            std::string_view name) const {
    return convolution(x, Convolution{.output_channels = channels, .window = window}, name);
}

OpId Rectified::grouped_convolution(OpId x, std::int64_t channels, const Window& window,
                                    std::int64_t groups) const {
    return convolution(
        x, Convolution{.output_channels = channels, .window = window, .groups = groups}, "conv");
}

// Batch norm subtracts the mean, and any bias of the convolution with it.
OpId Rectified::convolution(OpId x, Convolution attributes, std::string_view name) const {
    attributes.bias = !batch_norm_;
    attributes.relu = !batch_norm_;
    const OpId y = net_.convolution(x, attributes, name);
    if (!batch_norm_) {
        return y;
    }
    return net_.batch_norm(y, {.relu = true}, name == "conv" ? "bn" : text(name, "_bn"));
}

OpId Rectified::fully_connected(OpId x, std::int64_t outputs) const {
    const OpId y = net_.fully_connected(x, {.outputs = outputs, .relu = !batch_norm_});
    return batch_norm_ ? net_.batch_norm(y, {.relu = true}) : y;
}

void classifier(NetworkBuilder& net, OpId x, std::int64_t classes) {
    net.softmax_loss(net.fully_connected(x, {.outputs = classes}));
}

}  // namespace layerledger::architectures
