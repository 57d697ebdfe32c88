#include "repetitions.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

#include "command_line.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/output_file.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/record/run_reader.hpp"
#include "repetition_index.hpp"
#include "run_paths.hpp"
#include "setting_differences.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view index_name = "index.csv";
constexpr std::string_view start_anew = "use --output.overwrite true or another experiment.name";

/// Nothing where there is no run file, or one of a training that is not over.
std::optional<RunIdentity> complete_run(const std::string& path) {
    try {
        RunIdentity run = identify_run(path);
        return run.status == "complete" ? std::optional(std::move(run)) : std::nullopt;
    } catch (const Error&) {
        return {};
    }
}

/// Empty where there is no such file.
std::string content_of(const std::string& path) {
    std::ostringstream content;
    content << std::ifstream(path).rdbuf();
    return std::move(content).str();
}

/// When the file was last written; 0 where there is none. Tells two writings apart, no more.
std::int64_t time_of_writing(const std::string& path) {
    std::error_code failure;
    const auto time = fs::last_write_time(path, failure);
    return failure ? 0 : static_cast<std::int64_t>(time.time_since_epoch().count());
}

fs::path folder_of(const Experiment& experiment) {
    return fs::path(experiment.output.directory) / experiment.experiment.name;
}

/// A repetition, counted from 0, as an experiment of one training.
Experiment experiment_of(const Experiment& all, const std::vector<Repetition>& repetitions,
                         std::size_t number) {
    const Repetition& repetition = repetitions[number];
    const std::string origin = text("repetition ", number + 1, " of ", repetitions.size());
    Experiment one = all;
    one.set("experiment.repetitions", "1", origin);
    one.set("experiment.seed", text(repetition.seed), origin);
    one.set("output.directory", (folder_of(all) / repetition.directory).string(), origin);
    return one;
}

void take_results(Repetition& repetition, const std::string& run_file) {
    const RunSummary summary = summarize(run_file);
    repetition.iteration_ms = summary.iteration_us * 1e-3;
    repetition.images_per_second = summary.images_per_second;
    if (summary.validation) {
        repetition.validation_top1 = summary.validation->top1;
    }
}

/// A damaged file is no complete training, and says no more.
ClosedTraining close_or_say_why_not(const Experiment& one, const CloseTraining& close) {
    try {
        return close(one);
    } catch (const Error& error) {
        if (error.code() != ExitCode::bad_data) {
            throw;
        }
        return {false, one_line(error.what())};
    }
}

/// The repetitions of an experiment and their index.
class Repetitions {
public:
    Repetitions(const Communicator& world, const Experiment& experiment)
        : world_(world),
          experiment_(experiment),
          folder_(folder_of(experiment)),
          index_((folder_ / index_name).string()) {
        for (std::int64_t i = 0; i < experiment.experiment.repetitions; ++i) {
            std::ostringstream directory;
            directory << "repetition-" << std::setw(2) << std::setfill('0') << i + 1;
            repetitions_.push_back(
                {experiment.experiment.seed + static_cast<std::uint64_t>(i), directory.str()});
        }
    }

    [[nodiscard]] ExitCode run(const TrainRepetition& train);

private:
    void begin_index();
    /// Takes over what an earlier job has reached.
    void go_on_with(std::vector<Repetition> earlier);
    /// The index may say so of a run whose file is gone.
    void forget_what_is_gone();
    /// Throws Error{cannot_create} where a complete run is of another experiment than this.
    void require_same_experiment();
    void update_index();
    [[nodiscard]] ExitCode run_one(std::size_t number, const TrainRepetition& train);
    /// As it was before this job.
    void put_index_back() const;
    void take_results(Repetition& repetition, const std::string& run_file) const;

    const Communicator& world_;
    const Experiment& experiment_;
    fs::path folder_;
    std::string index_;
    std::string index_before_;  ///< rank 0's: what was in it; empty where there was none
    std::vector<Repetition> repetitions_;
    std::string images_digest_;  ///< rank 0's: of the complete repetitions
    bool is_new_ = true;
    bool index_is_behind_ = false;
};

void Repetitions::begin_index() {
    world_.agree_on_root([&] {
        index_before_ = content_of(index_);
        if (index_before_.empty() || experiment_.output.overwrite) {
            make_folder(folder_.string());
        } else {
            go_on_with(parse_index(index_, index_before_));
        }
        write_index(index_, repetitions_);
    });
    is_new_ = world_.broadcast(static_cast<std::int64_t>(is_new_)) != 0;
    const std::string agreed = world_.broadcast(index_text(repetitions_));
    if (!world_.is_root()) {
        repetitions_ = parse_index(index_, agreed);
    }
}

void Repetitions::go_on_with(std::vector<Repetition> earlier) {
    is_new_ = false;
    const auto refuse = [&](const std::string& why) {
        throw Error(ExitCode::cannot_create,
                    text("'", index_, "' ", why, " (earlier results are kept) ", start_anew));
    };
    if (!earlier.empty() && earlier.front().seed != repetitions_.front().seed) {
        refuse(text("is of another experiment: experiment.seed (", earlier.front().seed, " there, ",
                    repetitions_.front().seed, " here)"));
    }
    if (earlier.size() > repetitions_.size()) {
        refuse(text("has more of them: experiment.repetitions (", earlier.size(), " there, ",
                    repetitions_.size(), " here)"));
    }
    std::ranges::copy(earlier, repetitions_.begin());  // more may have come
    forget_what_is_gone();
    require_same_experiment();
    const auto complete = std::ranges::count(repetitions_, "complete", &Repetition::status);
    if (complete == std::ssize(repetitions_)) {
        refuse("says that all repetitions are complete");
    }
    log::info(text("going on with '", index_, "': ", complete, " of ", repetitions_.size(),
                   " repetitions are complete"));
}

void Repetitions::forget_what_is_gone() {
    for (std::size_t i = 0; i < repetitions_.size(); ++i) {
        Repetition& repetition = repetitions_[i];
        const std::string path = run_file_path(experiment_of(experiment_, repetitions_, i));
        if (repetition.status == "complete" && !complete_run(path)) {
            log::warning(text("repetition ", i + 1, " is complete in '", index_, "', but '", path,
                              "' is not there or cannot be read: it is trained again"));
            repetition = {repetition.seed, repetition.directory};
        }
    }
}

void Repetitions::require_same_experiment() {
    for (std::size_t i = 0; i < repetitions_.size(); ++i) {
        const Experiment one = experiment_of(experiment_, repetitions_, i);
        const std::string path = run_file_path(one);
        const std::optional<RunIdentity> run = complete_run(path);
        if (!run) {
            continue;  // it will be trained as it is now
        }
        std::string differences = setting_differences(run->settings, one, Trainings::repeated);
        if (run->ranks != world_.size()) {
            differences += text(differences.empty() ? "" : ", ", "ranks (", run->ranks, " there, ",
                                world_.size(), " here)");
        }
        LL_VALIDATE(
            differences.empty(), ExitCode::cannot_create,
            text("'", path, "' is complete and of another experiment: ", differences,
                 " (repetitions differ in their seed alone) go on with the same, or ", start_anew));
        images_digest_ = run->images_digest;
    }
}

/// Training is worth more than its index: what cannot be written is written with the next change.
void Repetitions::update_index() {
    if (!world_.is_root()) {
        return;
    }
    try {
        write_index(index_, repetitions_);
        index_is_behind_ = false;
    } catch (const Error& error) {
        if (!std::exchange(index_is_behind_, true)) {
            log::warning(text("the index is behind (", error.what(), ")"));
        }
    }
}

void Repetitions::put_index_back() const {
    if (!world_.is_root()) {
        return;
    }
    if (index_before_.empty()) {
        std::error_code failure;
        fs::remove(index_, failure);
        fs::remove(folder_, failure);  // unless something else is in it
        return;
    }
    try {
        OutputFile index(index_);
        index.write(index_before_);
        index.commit();
    } catch (const Error& error) {  // why the job ends is worth more
        log::warning(text("the index is not what it was (", error.what(), ")"));
    }
}

void Repetitions::take_results(Repetition& repetition, const std::string& run_file) const {
    world_.agree_on_root([&] { layerledger::take_results(repetition, run_file); });
}

ExitCode Repetitions::run_one(std::size_t number, const TrainRepetition& train) {
    const std::string name = text("repetition ", number + 1, " of ", repetitions_.size());
    Repetition& repetition = repetitions_[number];
    const Experiment one = experiment_of(experiment_, repetitions_, number);
    const std::string log_file = log_path(one);
    const std::int64_t written_before = time_of_writing(log_file);
    const Earlier earlier = is_new_                         ? Earlier::refuse
                            : repetition.status == "failed" ? Earlier::repeat
                                                            : Earlier::go_on;
    const auto begun = std::chrono::steady_clock::now();
    log::keep_for_file();
    if (world_.is_root()) {
        log::info(text(name, ", seed ", repetition.seed));
    }
    repetition.status = "running";
    repetition.reason.clear();
    update_index();
    ExitCode code = ExitCode::ok;
    try {
        code = train(one, earlier, images_digest_);
        if (code == ExitCode::ok) {
            take_results(repetition, run_file_path(one));
        }
    } catch (const AgreedError& error) {
        const bool has_begun =  // then its log was opened
            world_.broadcast(time_of_writing(log_file)) != world_.broadcast(written_before);
        if (number == 0 && is_new_ && !has_begun) {
            put_index_back();
            throw;  // what is wrong with the first before it begins is wrong with all
        }
        if (error.met_here()) {
            log::error(text(name, " failed: ", one_line(error.what())));
        }
        code = error.code();
        repetition.reason = one_line(error.what());
    } catch (const Error& error) {
        mark_repetition_failed(index_, repetition, number, error);
        throw;
    } catch (const std::exception& error) {
        mark_repetition_failed(index_, repetition, number, {ExitCode::internal, error.what()});
        throw;
    }
    repetition.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    repetition.code = code;
    repetition.status = code == ExitCode::ok            ? "complete"
                        : code == ExitCode::interrupted ? "interrupted"
                                                        : "failed";
    update_index();
    return code;
}

ExitCode Repetitions::run(const TrainRepetition& train) {
    begin_index();
    ExitCode first_failure = ExitCode::ok;
    std::size_t failures = 0;
    for (std::size_t i = 0; i < repetitions_.size(); ++i) {
        if (repetitions_[i].status == "complete") {
            continue;
        }
        const ExitCode code = run_one(i, train);
        if (code == ExitCode::interrupted) {
            return code;
        }
        if (code != ExitCode::ok) {
            ++failures;
            first_failure = first_failure == ExitCode::ok ? code : first_failure;
        }
    }
    if (failures > 0 && world_.is_root()) {
        log::error(text(failures, " of ", repetitions_.size(), " repetitions failed (see '", index_,
                        "')"));
    }
    if (world_.is_root()) {
        std::cout << "\n"
                  << repetitions_.size() << " repetitions: " << index_ << "\n"
                  << std::flush;
    }
    return first_failure;
}

}  // namespace

ExitCode run_repetitions(const Communicator& world, const Experiment& experiment,
                         const TrainRepetition& train) {
    return Repetitions(world, experiment).run(train);
}

std::string close_repetitions(const Experiment& experiment, const CloseTraining& close) {
    const std::string index = (folder_of(experiment) / index_name).string();
    std::vector<Repetition> repetitions = parse_index(index, content_of(index));
    std::string ends;
    for (std::size_t i = 0; i < repetitions.size(); ++i) {
        Repetition& repetition = repetitions[i];
        if (repetition.status == "running") {
            const Experiment one = experiment_of(experiment, repetitions, i);
            const ClosedTraining closed = close_or_say_why_not(one, close);
            ends += text(ends.empty() ? "" : "\n", "repetition ", i + 1, ": ", closed.said);
            if (closed.is_complete) {
                repetition.status = "complete";
                take_results(repetition, run_file_path(one));
            } else {
                repetition.status = "failed";
                repetition.code = ExitCode::internal;
                repetition.reason = closed.said;
            }
        }
    }
    if (ends.empty()) {
        return text("'", index, repetitions.empty() ? "' is not there" : "' calls none running");
    }
    write_index(index, repetitions);
    return ends;
}

}  // namespace layerledger
