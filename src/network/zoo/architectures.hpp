// The zoo, one file each, and the blocks that its architectures share.
#pragma once

#include "layerledger/network/builder.hpp"
#include "layerledger/network/zoo.hpp"

/// The zoo, in the order in which it is listed. To add an architecture, write a file in this folder
/// with a function of its name that describes it, and name it here.
#define LL_ZOO(ADD) \
    ADD(lenet5)     \
    ADD(alexnet)    \
    ADD(vgg11)      \
    ADD(vgg16)      \
    ADD(googlenet)  \
    ADD(resnet50)

namespace layerledger::architectures {

// An architecture's `make` gets complete options: classes, image size and a normalization that it has.

#define LL_ARCHITECTURE(name) [[nodiscard]] Architecture name();
LL_ZOO(LL_ARCHITECTURE)
#undef LL_ARCHITECTURE

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
