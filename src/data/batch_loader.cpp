#include "batch_loader.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

/// A thread that has not left after so long hangs in the file system.
constexpr std::chrono::milliseconds longest_farewell = std::chrono::seconds(30);

/// Memory and file system gain nothing from more, and ranks that are not bound see all the cores of
/// the node, each of them.
constexpr int most_threads = 16;

int cores_of_this_process() {
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

/// A tenth of the weight of a thread that computes, for the calling thread alone.
void stand_back() {
    constexpr int niceness = 10;
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), niceness);  // else: as it was
}

}  // namespace

BatchLoader::BatchLoader(const std::vector<ImageIndex::Image>& images, MakeLoader make_loader,
                         std::int64_t elements, Plan plan) {
    const int threads = plan.threads > 0 ? static_cast<int>(plan.threads)
                                         : std::min(cores_of_this_process(), most_threads);
    work_ =
        std::make_shared<Work>(images, std::move(make_loader), elements, std::move(plan), threads);
    for (int i = 0; i < threads; ++i) {
        threads_.emplace_back([work = work_](const std::stop_token& stop) { work->run(stop); });
    }
}

BatchLoader::~BatchLoader() {
    for (std::jthread& thread : threads_) {
        thread.request_stop();
    }
    if (!work_->wait_for_the_end()) {
        for (std::jthread& thread : threads_) {
            thread.detach();  // it owns what it works on
        }
    }
}

BatchLoader::Work::Work(const std::vector<ImageIndex::Image>& images, MakeLoader make_loader,
                        std::int64_t elements, Plan plan, int threads)
    : images_(images),
      make_loader_(std::move(make_loader)),
      elements_(static_cast<std::size_t>(elements)),
      plan_(std::move(plan)),
      slots_(static_cast<std::size_t>(plan_.prefetch) + 1),
      drawing_(plan_.first),
      handed_out_(plan_.first),
      running_(threads) {
    const auto places = static_cast<std::size_t>(plan_.batch_size);
    for (Slot& slot : slots_) {
        slot.loaded.batch.images.resize(places * elements_);
        slot.loaded.batch.labels.resize(places);
        slot.loaded.places.resize(places);
    }
}

void BatchLoader::Work::run(const std::stop_token& stop) {
    work(stop);
    const std::lock_guard lock(mutex_);
    --running_;
    left_.notify_all();
}

bool BatchLoader::Work::wait_for_the_end() {
    std::unique_lock lock(mutex_);
    return left_.wait_for(lock, std::min(plan_.patience, longest_farewell),
                          [&] { return running_ == 0; });
}

LoadedBatch& BatchLoader::Work::next() {
    std::unique_lock lock(mutex_);
    LL_VALIDATE(plan_.batches < 0 || handed_out_ < plan_.batches, ExitCode::internal,
                "a batch was asked for after the last one");
    Slot& wanted = slot(handed_out_);
    const bool is_there = ready_.wait_for(lock, plan_.patience, [&] {
        return failure_ || (handed_out_ < drawing_ && wanted.missing == 0);
    });
    LL_VALIDATE(
        is_there, ExitCode::input_missing,
        text("no images come from '", plan_.from, "' (waited ",
             duration_text(std::chrono::duration<double>(plan_.patience).count()),
             " for a batch: the file system hangs) see to it that it answers, and start again"));
    if (failure_) {
        std::rethrow_exception(failure_);
    }
    ++handed_out_;
    room_.notify_all();
    return wanted.loaded;
}

void BatchLoader::Work::work(const std::stop_token& stop) {
    try {
        stand_back();
        const std::unique_ptr<ImageLoader> loader = make_loader_();
        while (const std::optional<Ticket> ticket = take(stop)) {
            load(*loader, *ticket);
            finish(*ticket);
        }
    } catch (...) {
        fail(std::current_exception());
    }
}

std::optional<BatchLoader::Work::Ticket> BatchLoader::Work::take(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    const auto all_drawn = [this] { return plan_.batches >= 0 && drawing_ == plan_.batches; };
    const bool awake = room_.wait(lock, stop, [&] {
        return failure_ || all_drawn() || drawing_ < handed_out_ + plan_.prefetch;
    });
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

void BatchLoader::Work::load(ImageLoader& loader, const Ticket& ticket) {
    LoadedBatch& loaded = slot(ticket.batch).loaded;
    const std::span<float> planes =
        std::span(loaded.batch.images).subspan(ticket.place * elements_, elements_);
    LoadedBatch::Place place;
    const Candidates& candidates = ticket.candidates;
    for (std::size_t i = 0; i < candidates.tries && !place.filled; ++i) {
        const ImageOrder& order = *candidates.order;
        const std::uint32_t number = order[(candidates.first + i) % order.size()];
        // Its own: where the load hangs, the index may be gone when it returns.
        const ImageIndex::Image image = images_[number];
        try {
            loader.load(image, candidates.epoch, number, planes);
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

void BatchLoader::Work::finish(const Ticket& ticket) {
    const std::lock_guard lock(mutex_);
    if (--slot(ticket.batch).missing == 0) {
        ready_.notify_one();
    }
}

void BatchLoader::Work::fail(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(failure);
    ready_.notify_one();
    room_.notify_all();
}

}  // namespace layerledger
