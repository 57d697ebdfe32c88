// Where batches come from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "layerledger/config/experiment.hpp"
#include "layerledger/data/image_index.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/network/network.hpp"

namespace layerledger {

/// Which part of every global batch a rank takes.
struct Shard {
    int rank = 0;
    int ranks = 1;
};

/// An endless supply of training batches for one rank. Over all ranks, batch i of N ranks with B
/// images each holds the same images as batch i of 1 rank with N*B images.
class BatchSource {
public:
    virtual ~BatchSource() = default;

    /// The next batch, valid until the following call. Blocks while it is not ready.
    [[nodiscard]] virtual const HostBatch& next() = 0;

    /// The next call of next() returns batch `batch`, counted from 0 over all epochs.
    virtual void seek(std::int64_t batch) = 0;

    /// Iterations that make one epoch; 0 where there are no epochs (synthetic).
    [[nodiscard]] virtual std::int64_t iterations_per_epoch() const noexcept = 0;

    /// Images that could not be read so far and were replaced, on this rank.
    [[nodiscard]] virtual std::int64_t skipped() const noexcept = 0;
};

/// Random normal images and random labels, the same for the same seed: a pool of `pool` batches
/// made before training and repeated.
[[nodiscard]] std::unique_ptr<BatchSource> make_synthetic_source(Shape image, std::int64_t classes,
                                                                 std::int64_t batch, Shard shard,
                                                                 std::uint64_t seed, int pool = 2);

/// Training batches of the images in an index, from what settings.source names: decoded, cropped
/// and mirrored as settings.augment says, resized to the image's extent and normalised, shuffled
/// anew each epoch; the incomplete last global batch is left out. What an image looks like depends
/// on seed, epoch and image alone, not on ranks or threads. Throws Error{configuration} where there
/// are too few images or, packed, too small ones; Error{bad_data} from `next` where a file cannot
/// be decoded and settings.on_error is abort. The index must outlive the source.
[[nodiscard]] std::unique_ptr<BatchSource> make_image_source(const ImageIndex& index,
                                                             const DataSettings& settings,
                                                             Shape image, std::int64_t batch,
                                                             Shard shard, std::uint64_t seed);
std::unique_ptr<BatchSource> make_image_source(ImageIndex&&, const DataSettings&, Shape,
                                               std::int64_t, Shard, std::uint64_t) = delete;

/// One pass over index.val, the middle of each: every image exactly once over all ranks, in order,
/// the last batches filled up and `valid` set. The number of batches is equal on all ranks. An
/// unreadable image throws, or (settings.on_error skip) is left out. The index must outlive the
/// source.
class ValidationSource {
public:
    virtual ~ValidationSource() = default;
    [[nodiscard]] virtual std::int64_t batches() const noexcept = 0;
    [[nodiscard]] virtual const HostBatch& next() = 0;
    [[nodiscard]] virtual std::int64_t skipped() const noexcept = 0;
};
[[nodiscard]] std::unique_ptr<ValidationSource> make_validation_source(const ImageIndex& index,
                                                                       const DataSettings& settings,
                                                                       Shape image,
                                                                       std::int64_t batch,
                                                                       Shard shard);

}  // namespace layerledger
