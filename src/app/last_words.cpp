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

Heartbeat::Orders heartbeat_in_set_up(const Roll& roll) {
    return {nanoseconds_of(roll.timeout_seconds), [] { return std::uint64_t{0}; },
            [roll](const std::vector<Heartbeat::Silent>& silent) {
                const Error error = silenced(silent, {}, nullptr, roll);
                give_up(roll.world, error.code(), error.what());
            }};
}

Heartbeat::Orders heartbeat_in_training(const Trainer& trainer, const TrainingJob& job,
                                        const Roll& roll, const LastWords& last_words,
                                        Watchdog& watchdog) {
    const Whereabouts& whereabouts = trainer.whereabouts();
    return {nanoseconds_of(roll.timeout_seconds),
            [&whereabouts]() -> std::optional<std::uint64_t> {
                if (!is_outside_iterations(whereabouts.place().doing)) {
                    return std::nullopt;
                }
                return whereabouts.pulse();
            },
            [&, roll](const std::vector<Heartbeat::Silent>& silent) {
                if (!watchdog.take_word()) {
                    return;  // the job is about to end
                }
                const Error error = silenced(silent, whereabouts.place(), &*job.network, roll);
                static_cast<void>(last_words.write_within(std::chrono::seconds(2)));
                give_up(roll.world, error.code(), error.what());
            }};
}

Watchdog::Orders orders(const Trainer& trainer, const TrainingJob& job, const Roll& roll,
                        const LastWords& last_words) {
    using namespace std::chrono_literals;
    const Whereabouts& whereabouts = trainer.whereabouts();
    Watchdog::Orders orders;
    orders.deadline = nanoseconds_of(roll.timeout_seconds);
    orders.pulse = [&whereabouts] {
        return is_outside_iterations(whereabouts.place().doing)
                   ? std::nullopt
                   : std::optional(whereabouts.pulse());
    };
    orders.when_stuck = [&whereabouts, &job, roll, last_words](std::chrono::nanoseconds for_time) {
        const Error error = stuck(for_time, whereabouts.place(), *job.network, roll);
        static_cast<void>(last_words.write_within(2s));
        give_up(roll.world, error.code(), error.what());
    };
    // Launchers give a second before they kill. The first speaker that is left speaks; it may not
    // be rank 0, whose end then is why all are told to end.
    // Once one rank has ended, a launcher may kill the others at once: those who do not speak stay
    // until it is said.
    static constexpr auto until_said = 300ms;
    orders.when_told_to_end = [&whereabouts, &job, roll, last_words](int signal) {
        if (!is_speaker(roll)) {
            static_cast<void>(who_is_gone(roll));
            std::this_thread::sleep_for(until_said);
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
        } else {
            gone.wait();
            std::this_thread::sleep_for(until_said);
        }
    };
    return orders;
}

}  // namespace layerledger
