// Which part of an image a network gets to see.
#pragma once

#include <cstdint>

#include "layerledger/config/experiment.hpp"

namespace layerledger {

/// The extent of an interleaved 8-bit image.
struct PixelExtent {
    int width = 0;
    int height = 0;
};

/// A part of an image, in pixels from its top left corner.
struct View {
    double left = 0;
    double top = 0;
    double width = 0;
    double height = 0;
    bool mirrored = false;  ///< left and right change places
};

/// Random numbers of one image in one epoch: number i is the same whoever asks.
class ViewRandom {
public:
    ViewRandom(std::uint64_t seed, std::int64_t epoch, std::uint32_t image);

    /// The next number, in [0, 1).
    double uniform();

private:
    std::uint64_t key_;
    std::uint64_t drawn_ = 0;
};

/// The largest part of the proportions of `to` around the centre, shrunk to `share` of its sides.
/// Like resizing the shorter side to S and cropping C in the middle, with share = C / S.
[[nodiscard]] View central_view(PixelExtent image, PixelExtent to, double share);

/// A part of random size, proportions and place: its area is uniform between least_share and 1 of
/// the image's, the logarithm of width / height uniform between those of 3/4 and 4/3; after 10 that
/// do not fit, the middle. As torchvision's RandomResizedCrop does, after Szegedy et al., "Going
/// deeper with convolutions", CVPR 2015, section 6.
[[nodiscard]] View random_view(PixelExtent image, double least_share, ViewRandom& random);

/// What data.augment asks for, or the central window.
class ViewChooser {
public:
    /// For training.
    ViewChooser(const DataSettings& settings, PixelExtent to, std::uint64_t seed);
    /// For validation: the same part of an image whenever it is asked for.
    ViewChooser(const DataSettings& settings, PixelExtent to);

    /// `number` says which image of the index it is.
    [[nodiscard]] View choose(PixelExtent image, std::int64_t epoch, std::uint32_t number) const;

private:
    PixelExtent to_;
    double central_share_;
    double least_share_;
    bool crops_ = false;
    bool flips_ = false;
    std::uint64_t seed_ = 0;
};

}  // namespace layerledger
