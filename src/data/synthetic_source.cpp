// Random batches made once and repeated: training speed without an input pipeline.
#include <cstddef>
#include <utility>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/counter_random.hpp"
#include "layerledger/data/batch_source.hpp"

namespace layerledger {
namespace {

// One image's pixels and label depend on the seed and its number in the global pool alone.
void fill_image(std::uint64_t seed, std::uint64_t number, std::int64_t classes,
                std::span<float> pixels, std::int32_t& label) {
    const std::uint64_t key = random_bits(random_bits(seed, 0), number);
    for (std::size_t i = 0; i < pixels.size(); ++i) {
        pixels[i] = random_normal(random_bits(key, i));
    }
    const std::uint64_t bits = random_bits(key, pixels.size());
    label = static_cast<std::int32_t>(random_below(bits, static_cast<std::uint64_t>(classes)));
}

class SyntheticSource final : public BatchSource {
public:
    explicit SyntheticSource(std::vector<HostBatch> pool) : pool_(std::move(pool)) {}

    const HostBatch& next() override {
        const HostBatch& batch = pool_[position_];
        position_ = (position_ + 1) % pool_.size();
        return batch;
    }
    void seek(std::int64_t batch) override {
        LL_EXPECT(batch >= 0);
        position_ = static_cast<std::size_t>(batch) % pool_.size();
    }
    std::int64_t iterations_per_epoch() const noexcept override { return 0; }
    std::int64_t skipped() const noexcept override { return 0; }

private:
    std::vector<HostBatch> pool_;
    std::size_t position_ = 0;
};

}  // namespace

std::unique_ptr<BatchSource> make_synthetic_source(Shape image, std::int64_t classes,
                                                   std::int64_t batch, Shard shard,
                                                   std::uint64_t seed, int pool) {
    LL_EXPECT(classes > 0 && batch > 0 && pool > 0 && shard.rank < shard.ranks);
    const auto pixels = static_cast<std::size_t>(image.elements());
    std::vector<HostBatch> batches(static_cast<std::size_t>(pool));
    std::int64_t first = 0;  // number of the global batch's first image
    for (HostBatch& host : batches) {
        host.images.resize(static_cast<std::size_t>(batch) * pixels);
        host.labels.resize(static_cast<std::size_t>(batch));
        host.valid = batch;
        host.name = static_cast<std::uint64_t>(&host - batches.data()) + 1;
        for (std::int64_t i = 0; i < batch; ++i) {
            const auto at = static_cast<std::size_t>(i);
            const auto number = static_cast<std::uint64_t>(first + i * shard.ranks + shard.rank);
            fill_image(seed, number, classes, std::span(host.images).subspan(at * pixels, pixels),
                       host.labels[at]);
        }
        first += batch * shard.ranks;
    }
    return std::make_unique<SyntheticSource>(std::move(batches));
}

}  // namespace layerledger
