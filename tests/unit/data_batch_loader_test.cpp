// A file system that hangs.
#include "data/batch_loader.hpp"

#include <gmock/gmock.h>

#include <chrono>
#include <future>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "layerledger/base/error.hpp"

namespace layerledger {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

/// Loads image 7 only when it is let go.
class SlowLoader final : public ImageLoader {
public:
    SlowLoader(std::shared_future<void> gate, std::shared_ptr<std::promise<void>> end)
        : gate_(std::move(gate)), end_(std::move(end)) {}
    void load(const ImageIndex::Image& /*image*/, std::int64_t /*epoch*/, std::uint32_t number,
              std::span<float> planes) override {
        if (number == 7) {
            gate_.wait();
        }
        planes.front() = static_cast<float>(number);
    }

private:
    std::shared_future<void> gate_;
    std::shared_ptr<std::promise<void>> end_;  // broken with the last loader
};

class BatchLoading : public ::testing::Test {
protected:
    BatchLoading() : images_(12, {"train/a/1.jpg", 3, 0}) {}

    [[nodiscard]] BatchLoader::Plan plan() const {
        const auto order = std::make_shared<ImageOrder>(images_.size());
        std::iota(order->begin(), order->end(), 0U);
        BatchLoader::Plan plan;
        plan.batch_size = 4;
        plan.batches = 3;
        plan.draw = [order](std::int64_t batch, std::int64_t place) {
            return Candidates{order, static_cast<std::size_t>(4 * batch + place), 1, 0};
        };
        plan.threads = 2;
        plan.from = "/data/photographs";
        plan.patience = 300ms;
        return plan;
    }
    /// `ended` is ready when the last loader has gone.
    [[nodiscard]] MakeLoader loaders() {
        auto end = std::make_shared<std::promise<void>>();
        ended_ = end->get_future();
        return [gate = gate_.get_future().share(), end = std::move(end)] {
            return std::make_unique<SlowLoader>(gate, end);
        };
    }

    std::vector<ImageIndex::Image> images_;
    std::promise<void> gate_;
    std::future<void> ended_;
};

TEST_F(BatchLoading, HandsOutWhatTheThreadsLoad) {
    gate_.set_value();
    BatchLoader loader(images_, loaders(), 2, plan());
    for (int batch = 0; batch < 3; ++batch) {
        const LoadedBatch& loaded = loader.next();
        for (std::size_t place = 0; place < 4; ++place) {
            EXPECT_TRUE(loaded.places[place].filled);
            EXPECT_EQ(loaded.batch.labels[place], 3);
            EXPECT_EQ(loaded.batch.images[2 * place],
                      static_cast<float>(static_cast<std::size_t>(batch) * 4 + place));
        }
    }
}

TEST_F(BatchLoading, GivesUpAFileSystemThatHangsAndNamesIt) {
    std::optional<BatchLoader> loader(std::in_place, images_, loaders(), 2, plan());
    loader->next();
    try {
        loader->next();
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::input_missing);
        EXPECT_THAT(error.what(), HasSubstr("no images come from '/data/photographs'"));
    }
    // The thread is left alone, with what it works on, and does no harm when it comes back.
    loader.reset();
    images_ = {};
    EXPECT_EQ(ended_.wait_for(0ms), std::future_status::timeout);
    gate_.set_value();
    EXPECT_EQ(ended_.wait_for(10s), std::future_status::ready);
}

}  // namespace
}  // namespace layerledger
