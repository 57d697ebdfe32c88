// One pass over the validation images, each exactly once over all ranks.
#include <algorithm>
#include <cstddef>
#include <numeric>

#include "batch_loader.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/data/batch_source.hpp"

namespace layerledger {
namespace {

// Image g of global batch i is validation image i*N*B + g; rank g % N has it at place g / N.
BatchLoader::Plan plan_pass(const ImageIndex& index, const DataSettings& settings,
                            std::int64_t batch, Shard shard) {
    const std::size_t images = index.val.size();
    auto order = std::make_shared<ImageOrder>(images);
    std::iota(order->begin(), order->end(), 0U);
    const std::int64_t global_batch = shard.ranks * batch;
    const auto count = static_cast<std::int64_t>(images);
    BatchLoader::Plan plan;
    plan.batch_size = batch;
    plan.batches = (count + global_batch - 1) / global_batch;
    plan.draw = [order, count, global_batch, shard](std::int64_t number, std::int64_t place) {
        const std::int64_t image = number * global_batch + place * shard.ranks + shard.rank;
        return Candidates{order, static_cast<std::size_t>(image), image < count ? 1U : 0U, 0};
    };
    plan.prefetch = settings.prefetch;
    plan.threads = settings.workers;
    plan.from = index.root;
    return plan;
}

class ImageValidation final : public ValidationSource {
public:
    ImageValidation(const ImageIndex& index, const DataSettings& settings, Shape image,
                    std::int64_t batch, Shard shard)
        : on_error_(settings.on_error),
          pixels_(image.elements()),
          plan_(plan_pass(index, settings, batch, shard)),
          loader_(index.val,
                  choose_loader(index, settings, PackedPart::val,
                                {image, ViewChooser(settings, pixels_of(image)),
                                 imagenet_scaling(image.channels)}),
                  image.elements(), plan_) {}

    std::int64_t batches() const noexcept override { return plan_.batches; }
    std::int64_t skipped() const noexcept override { return skipped_; }

    const HostBatch& next() override {
        LoadedBatch& loaded = loader_.next();
        for (const LoadedBatch::Place& place : loaded.places) {
            if (place.failure.empty()) {
                continue;
            }
            if (on_error_ == OnError::abort) {
                throw Error(ExitCode::bad_data,
                            text(place.failure, ", or set data.on_error = skip"));
            }
            ++skipped_;
            log::warning(text("skipped in validation: ", place.failure));
        }
        close_gaps(loaded);
        return loaded.batch;
    }

private:
    // The images that could be read move to the front. Replacing a missing one would count another
    // image twice.
    void close_gaps(LoadedBatch& loaded) const {
        HostBatch& batch = loaded.batch;
        batch.valid = 0;
        for (std::size_t i = 0; i < loaded.places.size(); ++i) {
            if (!loaded.places[i].filled) {
                continue;
            }
            const auto to = static_cast<std::size_t>(batch.valid++);
            if (to != i) {
                const auto from = batch.images.begin() + static_cast<std::int64_t>(i) * pixels_;
                std::copy(from, from + pixels_,
                          batch.images.begin() + static_cast<std::int64_t>(to) * pixels_);
                batch.labels[to] = batch.labels[i];
            }
        }
    }

    OnError on_error_;
    std::int64_t pixels_;
    std::int64_t skipped_ = 0;
    BatchLoader::Plan plan_;
    BatchLoader loader_;
};

}  // namespace

std::unique_ptr<ValidationSource> make_validation_source(const ImageIndex& index,
                                                         const DataSettings& settings, Shape image,
                                                         std::int64_t batch, Shard shard) {
    return std::make_unique<ImageValidation>(index, settings, image, batch, shard);
}

}  // namespace layerledger
