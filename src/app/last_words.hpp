// What a rank sees to when training does not end by itself.
#pragma once

#include <chrono>
#include <string>

#include "fault.hpp"
#include "layerledger/comm/heartbeat.hpp"
#include "layerledger/record/run_writer.hpp"
#include "layerledger/train/trainer.hpp"
#include "training_job.hpp"
#include "watchdog.hpp"

namespace layerledger {

/// Of one run on one rank.
class LastWords {
public:
    /// `writer` is null on ranks that have none; `lock` is the job's lock file.
    LastWords(const TrainingJob& job, LabelDescription labels, RunWriter* writer, std::string path,
              std::string lock);

    /// Leaves a run file that says "failed", or nothing where no iteration is in it.
    void write() const;
    /// The same in a hurry, from any thread, before the process ends without its destructors. True
    /// where a run file is left.
    [[nodiscard]] bool write_within(std::chrono::nanoseconds patience) const;

private:
    /// Where nothing was committed. True where a run file is left.
    bool tidy_up() const;

    const TrainingJob& job_;
    LabelDescription labels_;
    RunWriter* writer_;
    std::string path_;
    std::string lock_;
};

/// What ends the job before training, where a rank gives no sign of life.
[[nodiscard]] Heartbeat::Orders heartbeat_in_set_up(const Roll& roll);
/// The same in breaks of training and at its end, with the run file marked.
[[nodiscard]] Heartbeat::Orders heartbeat_in_training(const Trainer& trainer,
                                                      const TrainingJob& job, const Roll& roll,
                                                      const LastWords& last_words,
                                                      Watchdog& watchdog);

/// What is done in training's place where it cannot: the run file is marked, the reason said.
[[nodiscard]] Watchdog::Orders orders(const Trainer& trainer, const TrainingJob& job,
                                      const Roll& roll, const LastWords& last_words);

}  // namespace layerledger
