// Which algorithms cuDNN is to use: found by trial once for each shape, the same on every rank, and
// remembered on disk.
#pragma once

#include <map>
#include <string>

#include "convolution_descriptors.hpp"

namespace layerledger::cuda {

class ConvolutionAlgorithms {
public:
    /// Reads what earlier runs found on the same kind of GPU with the same cuDNN.
    explicit ConvolutionAlgorithms(const Gpu& gpu);

    /// Rank 0's choice. Collective over the ranks of BackendOptions::world.
    [[nodiscard]] ConvolutionChoice find(const ConvolutionShape& shape, Direction direction,
                                         const ConvolutionDescriptors& descriptors);

    /// Writes what is new to disk. Where that fails the next run looks again.
    void remember() const;

private:
    const Gpu& gpu_;
    std::map<std::string, ConvolutionChoice> known_;
    bool is_new_ = false;
};

}  // namespace layerledger::cuda
