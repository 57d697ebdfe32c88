#include "beginning.hpp"

#include <charconv>
#include <filesystem>
#include <memory>
#include <system_error>

#include "checkpointing.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/record/run_reader.hpp"
#include "set_aside.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;

std::int64_t number_in(const std::string& word) {
    std::int64_t number = 0;
    std::from_chars(word.data(), word.data() + word.size(), number);
    return number;
}

/// The checkpoint that train.resume names; nothing where the run begins at iteration 0.
std::optional<CheckpointFolder::Found> wanted_checkpoint(const Experiment& experiment,
                                                         const CheckpointFolder& folder,
                                                         const std::string& run_file) {
    const std::string& resume = experiment.train.resume;
    if (resume == "none") {
        return {};
    }
    if (resume == "auto") {
        std::optional<CheckpointFolder::Found> found = folder.newest_whole();
        if (found || experiment.train.resume_mismatch != "allow") {
            return found;
        }
        // This run may have ended before its first checkpoint, and went on from another's.
        for (const std::string& before : checkpoint_folders_before(run_file)) {
            if (found = CheckpointFolder(before, 1).newest_whole(); found) {
                return found;
            }
        }
        return {};
    }
    return find_checkpoint(resume);
}

/// True where the checkpoint is of this training; false where it is of another one that may be made
/// use of.
bool is_same_training(const Experiment& experiment, const CheckpointFolder::Found& found,
                      const std::vector<Fact>& identity) {
    const std::string different = differences(found.checkpoint, identity);
    if (different.empty()) {
        return true;
    }
    LL_VALIDATE(experiment.train.resume_mismatch == "allow", ExitCode::configuration,
                text("'", found.path, "' is of another training: ", different,
                     "; go on with the same, or set train.resume_mismatch = allow"));
    log::warning(
        text("what follows is another training than that of '", found.path, "': ", different));
    return false;
}

/// As many images as before, in iterations of this run.
std::int64_t iteration_here(const Checkpoint& checkpoint, const std::vector<Fact>& identity,
                            bool has_epochs) {
    Checkpoint here;
    here.identity = identity;
    const auto global_batch = [](const Checkpoint& of) {
        return number_in(of.identity_of("world_size")) * number_in(of.identity_of("batch_size"));
    };
    const std::int64_t before = global_batch(checkpoint);
    const std::int64_t now = global_batch(here);
    return has_epochs && before > 0 && before != now ? checkpoint.iteration * before / now
                                                     : checkpoint.iteration;
}

/// The run whose file this is; nothing where there is none that can be read.
std::optional<RunIdentity> run_in(const std::string& run_file) {
    try {
        return identify_run(run_file);
    } catch (const Error&) {
        return {};
    }
}

/// The checkpoints of another run must neither be lost nor taken for this one's.
void make_room_for_checkpoints(const Experiment& experiment, const CheckpointFolder& folder) {
    if (folder.files().empty()) {
        return;
    }
    if (experiment.train.resume == "auto" && !folder.newest_whole()) {
        folder.set_aside_after(-1);
        return;
    }
    LL_VALIDATE(experiment.output.overwrite, ExitCode::cannot_create,
                text("'", folder.path(),
                     "' holds checkpoints of an earlier run (they are kept) "
                     "use --train.resume auto to go on with it, --output.overwrite true or another "
                     "output.file"));
    folder.remove_after(-1);
}

}  // namespace

CheckpointFolder checkpoint_folder(const Experiment& experiment, const std::string& run_file) {
    return {fs::path(run_file).replace_extension(".checkpoints").string(),
            experiment.train.checkpoint_keep};
}

Beginning find_beginning(const Communicator& world, const Experiment& experiment,
                         const Network& network, const TrainerOptions& options,
                         const std::vector<Fact>& identity, const std::string& run_file,
                         bool ends_with_validation) {
    Beginning beginning;
    world.agree_on_root([&] {
        const CheckpointFolder folder = checkpoint_folder(experiment, run_file);
        std::optional<CheckpointFolder::Found> found =
            wanted_checkpoint(experiment, folder, run_file);
        if (!found) {
            if (experiment.train.resume == "auto") {
                log::info("there is no checkpoint to go on from: training begins at iteration 0");
            }
            return;
        }
        Checkpoint& checkpoint = found->checkpoint;
        const bool is_same = is_same_training(experiment, *found, identity);
        if (const std::string changed = changed_settings(checkpoint, experiment);
            !changed.empty()) {
            log::warning(text("settings have changed since '", found->path, "': ", changed));
        }
        beginning.checkpoint = found->path;
        beginning.iteration =
            iteration_here(checkpoint, identity, options.iterations_per_epoch > 0);
        beginning.skipped_images = checkpoint.skipped_images;
        if (folder.holds(found->path)) {
            (is_same ? beginning.run_id : beginning.carried_from) = checkpoint.run_id;
            LL_VALIDATE(!is_same || experiment.train.resume == "auto" ||
                            experiment.output.overwrite || !folder.has_after(beginning.iteration),
                        ExitCode::cannot_create,
                        text("'", folder.path(), "' holds checkpoints after iteration ",
                             beginning.iteration,
                             " (earlier results are kept) use --train.resume auto to go on from "
                             "the newest, --output.overwrite true to take the run back, or "
                             "another output.file"));
        }
        const std::optional<RunIdentity> run = run_in(run_file);
        if (run && run->run_id == beginning.run_id && run->status == "running") {
            log::info(text("the start before was cut off: '", run_file, "' still says running"));
        }
        const bool is_trained = beginning.iteration >= options.iterations && run &&
                                run->run_id == beginning.run_id && run->status == "complete";
        const bool lacks_validation =
            ends_with_validation && run && run->last_validation < beginning.iteration;
        beginning.is_complete = is_trained && !lacks_validation;
        if (is_trained && beginning.iteration > options.iterations) {
            log::warning(text("'", run_file, "' has ", beginning.iteration,
                              " iterations, more than the ", options.iterations, " of this start"));
        }
        if (is_trained && lacks_validation) {
            log::info("the training is complete, its last validation is not");
        }
        beginning.state =
            take_state(checkpoint, network, options.optimizer.kind, identity, world.size());
        beginning.state.iteration = beginning.iteration;
        log::info(
            text("going on after iteration ", beginning.iteration, " from '", found->path, "'"));
    });
    beginning.iteration = world.broadcast(beginning.iteration);
    beginning.skipped_images = world.broadcast(beginning.skipped_images);
    beginning.is_complete = world.broadcast(static_cast<std::int64_t>(beginning.is_complete)) != 0;
    return beginning;
}

void go_on_from(Beginning& beginning, Trainer& trainer, const Communicator& world) {
    const auto has_state = static_cast<std::int64_t>(!beginning.state.parameters.empty());
    if (world.broadcast(has_state) != 0) {
        const TrainerState state = share(std::move(beginning.state), world);
        world.agree([&] { trainer.restore(state); });
    }
}

/// Nobody can go on in a run file that cannot be read, and it may be worth something all the same.
void require_readable(const std::string& run_file, const std::string& checkpoint) {
    std::error_code failure;
    if (!fs::exists(run_file, failure)) {
        return;
    }
    try {
        static_cast<void>(identify_run(run_file));
    } catch (const Error& error) {
        throw Error(ExitCode::cannot_create, text("the output file is in the way: ", error.what(),
                                                  "; or move it away, and training goes on from '",
                                                  checkpoint, "' in a new one"));
    }
}

std::unique_ptr<RunWriter> open_run(const Experiment& experiment, const Beginning& beginning,
                                    const std::string& run_file, RunDescription& description) {
    const CheckpointFolder folder = checkpoint_folder(experiment, run_file);
    std::optional<RunIdentity> run = run_in(run_file);
    const bool overwrite = experiment.output.overwrite;
    description.start.iteration = beginning.iteration;
    description.start.checkpoint = beginning.checkpoint;
    std::error_code failure;
    if (!beginning.carried_from.empty() &&
        (run ? run->run_id == beginning.carried_from : !fs::exists(run_file, failure))) {
        const std::string before = set_aside(run_file, SetAside::before);
        description.start.checkpoint =
            (fs::path(before + ".checkpoints") / fs::path(beginning.checkpoint).filename())
                .string();
        run.reset();
    }
    if (run && run->run_id == beginning.run_id && !run->has_this_schema) {
        set_aside(run_file, SetAside::older);  // what is recorded now would have no place in it
        run.reset();
    }
    if (!beginning.checkpoint.empty() && !overwrite) {
        require_readable(run_file, beginning.checkpoint);
    }
    if (beginning.run_id.empty()) {
        make_room_for_checkpoints(experiment, folder);
        if (experiment.train.resume == "auto" && !overwrite && run && run->status != "complete") {
            set_aside(run_file, SetAside::unfinished);
        }
    } else {
        description.run_id = beginning.run_id;
    }
    if (experiment.train.checkpoint_every > 0) {
        folder.prepare();
    }
    std::unique_ptr<RunWriter> writer;
    if (run && run->run_id == beginning.run_id) {
        writer = std::make_unique<RunWriter>(run_file, description, RunWriter::GoOn{});
    } else {
        writer = std::make_unique<RunWriter>(run_file, description, overwrite);
    }
    if (experiment.train.resume == "auto") {
        folder.set_aside_after(beginning.iteration);  // it goes on from the newest that can be read
    } else {
        folder.remove_after(beginning.iteration);
    }
    return writer;
}

}  // namespace layerledger
