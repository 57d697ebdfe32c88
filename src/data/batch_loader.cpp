#include "batch_loader.hpp"

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

constexpr std::chrono::seconds longest_wait{300};

}  // namespace

BatchLoader::BatchLoader(const std::string& root, const std::vector<ImageIndex::Image>& images,
                         Shape extent, Plan plan, std::int64_t threads)
    : root_(root),
      images_(images),
      extent_(extent),
      plan_(std::move(plan)),
      drawing_(plan_.first),
      handed_out_(plan_.first) {
    const auto places = static_cast<std::size_t>(plan_.batch_size);
    for (Slot& slot : slots_) {
        slot.loaded.batch.images.resize(places * static_cast<std::size_t>(extent.elements()));
        slot.loaded.batch.labels.resize(places);
        slot.loaded.places.resize(places);
    }
    for (std::int64_t i = 0; i < std::max<std::int64_t>(threads, 1); ++i) {
        threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    }
}

LoadedBatch& BatchLoader::next() {
    std::unique_lock lock(mutex_);
    LL_VALIDATE(plan_.batches < 0 || handed_out_ < plan_.batches, ExitCode::internal,
                "a batch was asked for after the last one");
    Slot& wanted = slot(handed_out_);
    const bool is_there = ready_.wait_for(lock, longest_wait, [&] {
        return failure_ || (handed_out_ < drawing_ && wanted.missing == 0);
    });
    LL_VALIDATE(is_there, ExitCode::internal,
                text("waited ", longest_wait.count(),
                     " s for a batch of images (the file system hangs) check the folder in "
                     "data.root"));
    if (failure_) {
        std::rethrow_exception(failure_);
    }
    ++handed_out_;
    room_.notify_all();
    return wanted.loaded;
}

void BatchLoader::work(const std::stop_token& stop) {
    try {
        ImageDecoder decoder;
        while (const std::optional<Ticket> ticket = take(stop)) {
            load(decoder, *ticket);
            finish(*ticket);
        }
    } catch (...) {
        fail(std::current_exception());
    }
}

std::optional<BatchLoader::Ticket> BatchLoader::take(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    const auto all_drawn = [this] { return plan_.batches >= 0 && drawing_ == plan_.batches; };
    const bool awake = room_.wait(
        lock, stop, [&] { return failure_ || all_drawn() || drawing_ < handed_out_ + prefetched; });
    // The wait reports its condition, not the request to stop.
    if (!awake || stop.stop_requested() || failure_ || all_drawn()) {
        return std::nullopt;
    }
    if (drawn_places_ == 0) {
        slot(drawing_).missing = plan_.batch_size;
    }
    Ticket ticket{drawing_, static_cast<std::size_t>(drawn_places_),
                  plan_.draw(drawing_, drawn_places_)};
    if (++drawn_places_ == plan_.batch_size) {
        drawn_places_ = 0;
        ++drawing_;
    }
    return ticket;
}

void BatchLoader::load(ImageDecoder& decoder, const Ticket& ticket) {
    LoadedBatch& loaded = slot(ticket.batch).loaded;
    const auto pixels = static_cast<std::size_t>(extent_.elements());
    const std::span<float> planes =
        std::span(loaded.batch.images).subspan(ticket.place * pixels, pixels);
    LoadedBatch::Place place;
    const Candidates& candidates = ticket.candidates;
    for (std::size_t i = 0; i < candidates.tries && !place.filled; ++i) {
        const ImageOrder& order = *candidates.order;
        const ImageIndex::Image& image = images_[order[(candidates.first + i) % order.size()]];
        try {
            decoder.decode(root_ + "/" + image.path, extent_, planes);
            loaded.batch.labels[ticket.place] = image.label;
            place.filled = true;
        } catch (const Error& error) {
            if (place.failure.empty()) {
                place.failure = error.what();
            }
        }
    }
    if (!place.filled) {
        std::fill(planes.begin(), planes.end(), 0.0F);
        loaded.batch.labels[ticket.place] = 0;
    }
    loaded.places[ticket.place] = std::move(place);
}

void BatchLoader::finish(const Ticket& ticket) {
    const std::lock_guard lock(mutex_);
    if (--slot(ticket.batch).missing == 0) {
        ready_.notify_one();
    }
}

void BatchLoader::fail(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(failure);
    ready_.notify_one();
    room_.notify_all();
}

}  // namespace layerledger
