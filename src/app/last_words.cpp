#include "last_words.hpp"

#include <algorithm>
#include <filesystem>
#include <future>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "beginning.hpp"
#include "image_lists.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/base/waited.hpp"
#include "mpi_command.hpp"

namespace layerledger {

LastWords::LastWords(const TrainingJob& job, LabelDescription labels, RunWriter* writer,
                     std::string path, std::string lock)
    : job_(job),
      labels_(std::move(labels)),
      writer_(writer),
      path_(std::move(path)),
      lock_(std::move(lock)) {}

void LastWords::write() const {
    if (writer_ != nullptr) {
        (void)writer_->finish(
            RunStatus::failed);  // the failure at hand matters more than lost data
    } else {
        mark_failed(path_);
    }
    tidy_up();
}

bool LastWords::write_within(std::chrono::nanoseconds patience) const {
    if (writer_ != nullptr) {
        writer_->fail_within(patience);
        std::error_code failure;
        std::filesystem::remove(lock_, failure);
    } else {
        mark_failed(path_);
    }
    return tidy_up();
}

bool LastWords::tidy_up() const {
    std::error_code failure;
    const bool is_left = std::filesystem::exists(path_, failure);
    if (!is_left) {
        remove_lists(labels_, path_);
        const CheckpointFolder checkpoints = checkpoint_folder(job_.experiment, path_);
        std::filesystem::remove(checkpoints.path(), failure);  // unless something is in it
    }
    return is_left;
}

Watchdog::Orders orders(const Trainer& trainer, const TrainingJob& job, const Roll& roll,
                        const LastWords& last_words) {
    using namespace std::chrono_literals;
    const Whereabouts& whereabouts = trainer.whereabouts();
    const auto may_take_its_time = [](Doing doing) {
        return doing == Doing::starting || doing == Doing::pause;
    };
    Watchdog::Orders orders;
    orders.deadline = nanoseconds_of(roll.timeout_seconds);
    orders.pulse = [&whereabouts, may_take_its_time] {
        return may_take_its_time(whereabouts.place().doing) ? std::nullopt
                                                            : std::optional(whereabouts.pulse());
    };
    orders.when_stuck = [&whereabouts, &job, roll, last_words](std::chrono::nanoseconds for_time) {
        const Error error = stuck(for_time, whereabouts.place(), *job.network, roll);
        static_cast<void>(last_words.write_within(2s));
        give_up(roll.world, error.code(), error.what());
    };
    // Launchers give a second before they kill. The first speaker that is left speaks; it may not
    // be rank 0, whose end then is why all are told to end.
    orders.when_told_to_end = [&whereabouts, &job, roll, last_words](int signal) {
        if (!is_speaker(roll)) {
            static_cast<void>(who_is_gone(roll));
            return;
        }
        auto gone = std::async(std::launch::async, [&roll] { return who_is_gone(roll); });
        const int rank = roll.world.rank();
        const auto turn = std::ranges::find(roll.speakers, rank) - roll.speakers.begin();
        std::this_thread::sleep_for(turn * 60ms);
        const bool is_kept = last_words.write_within(400ms);
        if (roll.world.take_last_word()) {
            log::error(
                text("rank ", rank, " on ", roll.nodes[static_cast<std::size_t>(rank)], ": ",
                     told_to_end(signal, whereabouts.place(), *job.network, is_kept, gone.get())
                         .what()));
        }
    };
    return orders;
}

}  // namespace layerledger
