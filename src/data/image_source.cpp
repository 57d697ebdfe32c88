// Training batches of an index's images, shuffled anew each epoch.
#include <cstddef>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "batch_loader.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/counter_random.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/data/batch_source.hpp"

namespace layerledger {
namespace {

// The order of all training images in one epoch, the same on every rank (Fisher-Yates).
ImageOrder permutation(std::size_t images, std::uint64_t seed, std::int64_t epoch) {
    ImageOrder order(images);
    std::iota(order.begin(), order.end(), 0U);
    const std::uint64_t key = random_bits(seed, static_cast<std::uint64_t>(epoch));
    for (std::size_t i = images; i > 1; --i) {
        std::swap(order[i - 1], order[random_below(random_bits(key, i), i)]);
    }
    return order;
}

// One rank's part of each epoch: image j of batch i is permutation[i*N*B + j*N + rank].
class ShardedEpochs {
public:
    ShardedEpochs(std::size_t images, std::int64_t batches_per_epoch, std::int64_t batch,
                  Shard shard, std::uint64_t seed)
        : images_(images),
          batches_per_epoch_(batches_per_epoch),
          batch_(batch),
          shard_(shard),
          seed_(seed) {}

    /// The first candidate of a place. Batches are asked for in order.
    Candidates operator()(std::int64_t batch, std::int64_t place) {
        if (const std::int64_t epoch = batch / batches_per_epoch_; epoch != epoch_) {
            epoch_ = epoch;
            order_ = std::make_shared<const ImageOrder>(shard_of(epoch));
        }
        const std::int64_t first = batch % batches_per_epoch_ * batch_ + place;
        return {order_, static_cast<std::size_t>(first), 1, epoch_};
    }

private:
    ImageOrder shard_of(std::int64_t epoch) const {
        const ImageOrder all = permutation(images_, seed_, epoch);
        ImageOrder mine(static_cast<std::size_t>(batches_per_epoch_ * batch_));
        for (std::size_t i = 0; i < mine.size(); ++i) {
            mine[i] = all[i * static_cast<std::size_t>(shard_.ranks) +
                          static_cast<std::size_t>(shard_.rank)];
        }
        return mine;
    }

    std::size_t images_;
    std::int64_t batches_per_epoch_;
    std::int64_t batch_;
    Shard shard_;
    std::uint64_t seed_;
    std::int64_t epoch_ = -1;
    std::shared_ptr<const ImageOrder> order_;
};

class ImageSource final : public BatchSource {
public:
    ImageSource(const ImageIndex& index, const DataSettings& settings, Shape image,
                std::int64_t batch, std::int64_t iterations_per_epoch, Shard shard,
                std::uint64_t seed)
        : iterations_per_epoch_(iterations_per_epoch),
          on_error_(settings.on_error),
          images_(index.train),
          elements_(image.elements()),
          make_loader_(choose_loader(index, settings, PackedPart::train,
                                     {image, ViewChooser(settings, pixels_of(image), seed),
                                      imagenet_scaling(image.channels)})) {
        plan_.batch_size = batch;
        plan_.batches = -1;
        plan_.prefetch = settings.prefetch;
        plan_.threads = settings.workers;
        plan_.from = index.root;
        plan_.draw = [epochs =
                          ShardedEpochs(images_.size(), iterations_per_epoch, batch, shard, seed),
                      replace = on_error_ == OnError::skip](std::int64_t number,
                                                            std::int64_t place) mutable {
            Candidates candidates = epochs(number, place);
            candidates.tries = replace ? candidates.order->size() : 1;
            return candidates;
        };
        seek(0);
    }

    void seek(std::int64_t batch) override {
        LL_EXPECT(batch >= 0);
        plan_.first = batch;
        loader_.reset();  // its threads end before others begin
        loader_.emplace(images_, make_loader_, elements_, plan_);
    }

    const HostBatch& next() override {
        LoadedBatch& loaded = loader_->next();
        for (const LoadedBatch::Place& place : loaded.places) {
            if (!place.filled) {
                throw Error(ExitCode::bad_data,
                            text(place.failure, on_error_ == OnError::skip
                                                    ? "; nor can any other image of this rank"
                                                    : ", or set data.on_error = skip"));
            }
            if (!place.failure.empty()) {
                ++skipped_;
                if (reported_.insert(place.failure).second) {
                    log::warning(text("skipped: ", place.failure));
                }
            }
        }
        loaded.batch.valid = static_cast<std::int64_t>(loaded.places.size());
        return loaded.batch;
    }
    std::int64_t iterations_per_epoch() const noexcept override { return iterations_per_epoch_; }
    std::int64_t skipped() const noexcept override { return skipped_; }

private:
    std::int64_t iterations_per_epoch_;
    OnError on_error_;
    std::set<std::string> reported_;  // each bad file is worth one line, not one an epoch
    std::int64_t skipped_ = 0;
    const std::vector<ImageIndex::Image>& images_;
    std::int64_t elements_;
    MakeLoader make_loader_;
    BatchLoader::Plan plan_;
    std::optional<BatchLoader> loader_;
};

}  // namespace

std::unique_ptr<BatchSource> make_image_source(const ImageIndex& index,
                                               const DataSettings& settings, Shape image,
                                               std::int64_t batch, Shard shard,
                                               std::uint64_t seed) {
    const auto images = static_cast<std::int64_t>(index.train.size());
    LL_VALIDATE(shard.ranks <= images, ExitCode::configuration,
                text(shard.ranks, " ranks cannot share ", images, " images ('", index.root,
                     "' has no more for training) use fewer ranks"));
    const std::int64_t global_batch = shard.ranks * batch;
    LL_VALIDATE(global_batch <= images, ExitCode::configuration,
                text("one global batch takes ", global_batch, " images, there are ", images, " (",
                     shard.ranks, " ranks x train.batch_size ", batch, "; '", index.root,
                     "' has no more for training) use a smaller batch or fewer ranks"));
    return std::make_unique<ImageSource>(index, settings, image, batch, images / global_batch,
                                         shard, seed);
}

}  // namespace layerledger
