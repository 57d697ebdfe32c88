// Fills batches with decoded images ahead of their reader, on threads of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "image_loader.hpp"
#include "layerledger/data/batch_source.hpp"
#include "layerledger/data/image_index.hpp"

namespace layerledger {

/// Positions in a list of images, in the order in which one rank takes them.
using ImageOrder = std::vector<std::uint32_t>;

/// What may fill one place of a batch: order[first], else the following ones, round the order,
/// until one can be read or `tries` have failed. No tries: the place stays empty.
struct Candidates {
    std::shared_ptr<const ImageOrder> order;
    std::size_t first = 0;
    std::size_t tries = 0;
    std::int64_t epoch = 0;
};

/// A batch and what became of each of its places.
struct LoadedBatch {
    struct Place {
        bool filled = false;
        std::string failure;  ///< why the first candidate could not be read; empty: it could
    };
    HostBatch batch;
    std::vector<Place> places;
};

/// The threads take single places, so that several work on one batch; `Plan::prefetch` complete
/// batches wait at most while the reader holds another. The threads stand back behind those that
/// compute: where cores are short, loading takes what these leave over, and what that costs shows
/// as waiting for input rather than as slower layers.
class BatchLoader {
public:
    struct Plan {
        std::int64_t batch_size = 1;
        std::int64_t batches = 0;  ///< how many there are; fewer than 0: without end
        /// Names the candidates of a place; called in order, batch by batch, by one thread at a
        /// time.
        std::function<Candidates(std::int64_t batch, std::int64_t place)> draw;
        std::int64_t first = 0;  ///< the batch to begin with
        std::int64_t prefetch = 2;
        std::int64_t threads = 0;  ///< 0: as many as this process has cores, 16 at most
        std::string from;          ///< where the images are, for messages
        std::chrono::milliseconds patience = std::chrono::minutes(5);  ///< longest wait for a batch
    };

    /// `images` must outlive the loader, which starts loading at once: `elements` floats an image.
    BatchLoader(const std::vector<ImageIndex::Image>& images, MakeLoader make_loader,
                std::int64_t elements, Plan plan);

    /// Waits for the threads, but not for ever: one that hangs in the file system is left alone.
    ~BatchLoader();
    BatchLoader(const BatchLoader&) = delete;
    BatchLoader& operator=(const BatchLoader&) = delete;

    /// The next batch, the reader's own until the following call. Throws what stopped a thread;
    /// Error{input_missing} where plan.patience has run out.
    LoadedBatch& next() { return work_->next(); }

private:
    /// What the threads share; lives as long as the last of them.
    class Work {
    public:
        Work(const std::vector<ImageIndex::Image>& images, MakeLoader make_loader,
             std::int64_t elements, Plan plan, int threads);
        /// One thread, until it is told to stop or nothing is left to do.
        void run(const std::stop_token& stop);
        [[nodiscard]] LoadedBatch& next();
        /// Until no thread is in `run`, but not for ever; whether all have left.
        [[nodiscard]] bool wait_for_the_end();

    private:
        struct Slot {
            LoadedBatch loaded;
            std::int64_t missing = 0;  ///< places that no thread has finished
        };
        struct Ticket {
            std::int64_t batch = 0;
            std::size_t place = 0;
            Candidates candidates;
        };

        Slot& slot(std::int64_t batch) {
            return slots_[static_cast<std::size_t>(batch) % slots_.size()];
        }
        void work(const std::stop_token& stop);
        std::optional<Ticket> take(const std::stop_token& stop);
        void load(ImageLoader& loader, const Ticket& ticket);
        void finish(const Ticket& ticket);
        void fail(std::exception_ptr failure);

        const std::vector<ImageIndex::Image>& images_;
        const MakeLoader make_loader_;
        const std::size_t elements_;
        const Plan plan_;

        std::mutex mutex_;  // guards what follows; the threads write a slot's places without it
        std::condition_variable_any room_;
        std::condition_variable ready_;
        std::condition_variable left_;
        std::vector<Slot> slots_;
        std::int64_t drawing_ = 0;       // the batch whose places are being given out
        std::int64_t drawn_places_ = 0;  // of it
        std::int64_t handed_out_ = 0;    // the batch that the reader gets next
        int running_ = 0;                // threads in `run`
        std::exception_ptr failure_;
    };

    std::shared_ptr<Work> work_;
    std::vector<std::jthread> threads_;
};

}  // namespace layerledger
