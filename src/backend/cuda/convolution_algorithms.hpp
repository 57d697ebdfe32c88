// Which algorithms cuDNN is to use: found by trial once for each shape, the same on every rank, and
// remembered on disk.
#pragma once

#include <istream>
#include <map>
#include <ostream>
#include <string>

#include "convolution_descriptors.hpp"

namespace layerledger::cuda {

class ConvolutionAlgorithms {
public:
    /// Reads what earlier runs found on the same kind of GPU with the same cuDNN.
    explicit ConvolutionAlgorithms(const Gpu& gpu);

    [[nodiscard]] ConvolutionChoice find(const ConvolutionShape& shape, Direction direction,
                                         const ConvolutionDescriptors& descriptors);

    /// All ranks know what rank 0 does, and nothing else. Collective.
    void share(const Communicator& world);

    /// Writes what is new to disk, on rank 0. Where that fails the next run looks again.
    void remember();

private:
    void read(std::istream& lines);
    void write(std::ostream& lines) const;

    const Gpu& gpu_;
    std::map<std::string, ConvolutionChoice> known_;
    bool is_new_ = false;
};

}  // namespace layerledger::cuda
