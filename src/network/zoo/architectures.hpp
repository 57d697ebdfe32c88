// The makers of the zoo, one file each, and the blocks that they share.
#pragma once

#include "layerledger/network/builder.hpp"
#include "layerledger/network/zoo.hpp"

namespace layerledger::architectures {

// Options arrive complete: classes, image size and a normalization that the architecture has.
[[nodiscard]] Network lenet5(const ZooOptions& options);
[[nodiscard]] Network alexnet(const ZooOptions& options);
[[nodiscard]] Network vgg11(const ZooOptions& options);
[[nodiscard]] Network vgg16(const ZooOptions& options);
[[nodiscard]] Network googlenet(const ZooOptions& options);
[[nodiscard]] Network resnet50(const ZooOptions& options);

/// Appends convolutions and fully connected operations that end in a rectifier, with batch norm
/// before the rectifier where the normalization asks for it.
class Rectified {
public:
    Rectified(NetworkBuilder& net, Normalization normalization)
        : net_(net), batch_norm_(normalization == Normalization::batch) {}

    /// "NAME", and where there is batch norm "NAME_bn" ("bn" beside the usual "conv").
    OpId convolution(OpId x, std::int64_t channels, const Window& window,
                     std::string_view name = "conv") const;
    OpId grouped_convolution(OpId x, std::int64_t channels, const Window& window,
                             std::int64_t groups) const;
    OpId fully_connected(OpId x, std::int64_t outputs) const;

private:
    OpId convolution(OpId x, Convolution attributes, std::string_view name) const;

    NetworkBuilder& net_;
    bool batch_norm_;
};

/// The last layer of every classifier: logits and loss.
void classifier(NetworkBuilder& net, OpId x, std::int64_t classes);

}  // namespace layerledger::architectures
