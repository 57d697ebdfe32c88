#include "train_command.hpp"

#include <chrono>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "beginning.hpp"
#include "checkpointing.hpp"
#include "describe_run.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/record/run_reader.hpp"
#include "mpi_command.hpp"
#include "progress.hpp"
#include "run_recorder.hpp"
#include "run_setup.hpp"
#include "stop_request.hpp"
#include "training_breaks.hpp"

namespace layerledger {
namespace {

std::string output_path(const Experiment& experiment) {
    const std::string& file = experiment.output.file;
    return (std::filesystem::path(experiment.output.directory) /
            (file.empty() ? experiment.experiment.name + ".h5" : file))
        .string();
}

OverheadRecord overhead_record(const Overhead& overhead) {
    return {overhead.percent, overhead.low, overhead.high, overhead.pairs,
            overhead.measurement_percent};
}

/// What ran before anything is written: everything that can be refused has been refused by then.
struct Job {
    Experiment experiment;
    RankMap rank;
    ImageIndex images;
    std::optional<Network> network;
    std::unique_ptr<Backend> backend;
    std::unique_ptr<BatchSource> source;
    TrainerOptions options;
};

Job set_up(const Communicator& world, Experiment experiment) {
    Job job;
    job.experiment = std::move(experiment);
    job.rank = map_rank(world);
    log::set_rank(world.rank(), job.rank.host);
    job.images = find_images(world, job.experiment.data);
    world.agree([&] {
        require_available(job.experiment);
        job.network = choose_network(job.experiment, job.images);
        job.backend = choose_backend(job.experiment, job.rank);
        require_memory(job.experiment, *job.network, *job.backend);
        job.source = choose_source(job.experiment, job.images, *job.network, world);
        job.options = trainer_options(job.experiment, *job.network,
                                      job.source->iterations_per_epoch(), world);
    });
    return job;
}

void announce(const Job& job, const Communicator& world) {
    const Network& network = *job.network;
    log::info(text(network.name(), ", ", network.classes(), " classes, ",
                   fixed(static_cast<double>(network.parameter_elements()) / 1e6, 2),
                   " M parameters; ", world.size(), world.size() == 1 ? " rank" : " ranks", " x ",
                   job.options.compile.batch, " images on ", job.backend->info().name, "; ",
                   job.options.iterations, " iterations"));
    if (job.experiment.device.backend == BackendChoice::automatic) {
        log::info(text("device.backend=auto chose ", job.backend->info().backend));
    }
}

/// Makes the source of one validation; empty where there is nothing to validate on.
TrainingBreaks::ValidationSources validation_sources(const Job& job, const Communicator& world) {
    if (job.images.val.empty() || !job.experiment.train.validate) {
        return {};
    }
    const Shard shard{world.rank(), world.size()};
    return [&job, shard] {
        return make_validation_source(job.images, job.experiment.data, job.network->input(),
                                      job.options.compile.batch, shard);
    };
}

/// What every checkpoint of this run says beside its numbers.
Checkpoint checkpoint_template(const RunDescription& description, const std::vector<Fact>& identity,
                               const Beginning& beginning) {
    Checkpoint checkpoint;
    checkpoint.run_id = description.run_id;
    checkpoint.config_text = description.config_text;
    checkpoint.identity = identity;
    checkpoint.versions = description.provenance;
    checkpoint.skipped_images = beginning.skipped_images;
    return checkpoint;
}

/// What training ended with.
struct Outcome {
    bool is_stopped = false;  ///< on request, after a checkpoint
    bool has_lost_checkpoint = false;
    std::int64_t skipped_images = 0;  ///< of all ranks
    std::int64_t dropped_spans = 0;
};

Outcome run(Trainer& trainer, RunRecorder& recorder, TrainingBreaks& breaks,
            const Communicator& world) {
    trainer.run(recorder, breaks);
    if (!breaks.is_stopped()) {
        breaks.take_last();
    }
    return {breaks.is_stopped(), breaks.has_lost_checkpoint(), breaks.skipped_images(),
            world.all_reduce_sum(trainer.recorder().dropped())};
}

/// Writes the end of the run file; false where data was lost.
bool write_end(RunWriter& writer, const Outcome& outcome, const Trainer& trainer,
               const RunRecorder& recorder) {
    writer.set_skipped_images(outcome.skipped_images);
    writer.set_dropped_spans(outcome.dropped_spans);
    if (const auto overhead = trainer.overhead()) {
        writer.set_overhead(overhead_record(*overhead));
    }
    writer.set_wall_clock(
        {recorder.windows_us(), trainer.wall_clock().elapsed_us, trainer.wall_clock().paused_us});
    return writer.finish(outcome.is_stopped ? RunStatus::interrupted : RunStatus::complete);
}

/// Leaves a run file that says "failed". Rank 0 writes it, unless another rank alone knows of the
/// failure and is about to end the job.
void mark_the_failure(const std::exception_ptr& failure, RunWriter* writer,
                      const std::string& path) {
    if (writer != nullptr) {
        (void)writer->finish(RunStatus::failed);  // the failure at hand matters more than lost data
        return;
    }
    try {
        std::rethrow_exception(failure);
    } catch (const AgreedError&) {
        // Rank 0 knows.
    } catch (...) {
        mark_failed(path);
    }
}

ExitCode train(Communicator& world, const std::vector<std::string>& arguments) {
    bool dry_run = false;
    std::optional<Experiment> experiment = read_settings(world, "train", arguments, dry_run);
    if (!experiment) {
        return ExitCode::ok;
    }
    Job job = set_up(world, std::move(*experiment));
    announce(job, world);
    const std::string path = output_path(job.experiment);
    const std::vector<Fact> identity = training_identity(job.experiment, *job.network, job.images,
                                                         world.size(), job.backend->info());
    Beginning beginning =
        find_beginning(world, job.experiment, *job.network, job.options, identity, path);
    if (beginning.is_complete) {
        log::info(text("'", path, "' is complete: nothing is left to do"));
        return ExitCode::ok;
    }
    if (dry_run) {
        log::info("nothing was trained (--dry-run)");
        return ExitCode::ok;
    }

    const auto collective = choose_collective(job.experiment, world);
    std::optional<Trainer> trainer;
    world.agree([&] {
        trainer.emplace(*job.network, *job.backend, *collective, world, *job.source, job.options);
    });
    go_on_from(beginning, *trainer, world);
    const Communicator::ClockOffset clock = world.measure_clock_offset();
    std::string command_line = "layerledger train";
    for (const std::string& argument : arguments) {
        command_line += " " + argument;
    }
    RunDescription description =
        describe_run(job.experiment, *job.network, *trainer, job.options, *job.backend,
                     collective->name(), job.rank, world, clock, command_line);
    const RecordLayout layout(description.extents());
    Gather gather(world, layout, table_digest(*job.network, description), clock.offset_ns);

    world.set_deadline(std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(job.experiment.sync.timeout_seconds)));

    std::unique_ptr<RunWriter> writer;
    std::optional<Progress> progress;
    world.agree_on_root([&] {
        writer = open_run(job.experiment, beginning, path, description);
        ProgressOptions display = progress_options(job.experiment.output.progress,
                                                   job.experiment.output.progress_seconds);
        display.iterations = job.options.iterations;
        display.iterations_per_epoch = job.options.iterations_per_epoch;
        progress.emplace(std::cout, std::move(display));
    });
    RunRecorder recorder(world, gather, layout, beginning.iteration, job.options.iterations,
                         job.experiment.output.commit_seconds, writer.get(),
                         progress ? &*progress : nullptr);
    TrainingBreaks breaks(
        {world, *job.network, job.options, *job.source, *trainer, recorder, writer.get()},
        job.experiment.train, validation_sources(job, world),
        checkpoint_folder(job.experiment, path),
        checkpoint_template(description, identity, beginning));
    Outcome outcome;
    try {
        outcome = run(*trainer, recorder, breaks, world);
    } catch (...) {
        mark_the_failure(std::current_exception(), writer.get(), path);
        throw;
    }
    bool complete = true;
    if (writer) {
        progress.reset();
        complete = write_end(*writer, outcome, *trainer, recorder);
        if (complete) {
            std::cout << to_text(summarize(path));
        }
    }
    // Nobody leaves while rank 0 still writes: a launcher may end the job with the first rank.
    complete = world.broadcast(static_cast<std::int64_t>(complete)) != 0;
    if (!complete || outcome.has_lost_checkpoint) {
        return ExitCode::data_lost;
    }
    if (outcome.is_stopped) {
        log::info(text("stopped on request after iteration ", trainer->iterations_done(),
                       "; --train.resume auto goes on from there"));
        return ExitCode::interrupted;
    }
    return ExitCode::ok;
}

}  // namespace

ExitCode run_train_command(int& argc, char**& argv, const std::vector<std::string>& arguments) {
    listen_for_stop_requests();
    return run_on_all_ranks(argc, argv,
                            [&](Communicator& world) { return train(world, arguments); });
}

}  // namespace layerledger
