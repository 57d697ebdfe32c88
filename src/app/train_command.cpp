#include "train_command.hpp"

#include <bit>
#include <chrono>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "beginning.hpp"
#include "checkpointing.hpp"
#include "clock_readings.hpp"
#include "describe_run.hpp"
#include "displays.hpp"
#include "experiment_runner.hpp"
#include "fault.hpp"
#include "image_lists.hpp"
#include "last_words.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/output_file.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/base/waited.hpp"
#include "layerledger/record/run_reader.hpp"
#include "mpi_command.hpp"
#include "network_report.hpp"
#include "output_lock.hpp"
#include "process_memory.hpp"
#include "run_paths.hpp"
#include "run_recorder.hpp"
#include "run_setup.hpp"
#include "stop_request.hpp"
#include "training_breaks.hpp"
#include "training_job.hpp"
#include "watchdog.hpp"
#include "zero_skew.hpp"

namespace layerledger {
namespace {

OverheadRecord overhead_record(const Overhead& overhead) {
    return {overhead.percent, overhead.low, overhead.high, overhead.pairs,
            overhead.measurement_percent};
}

/// Makes the source of one validation; empty where there is nothing to validate on.
TrainingBreaks::ValidationSources validation_sources(const TrainingJob& job,
                                                     const Communicator& world) {
    if (!validates(job)) {
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
    std::int64_t lost_checkpoints = 0;
    std::exception_ptr validation_failure;
    std::int64_t skipped_images = 0;  ///< of all ranks
    std::int64_t dropped_spans = 0;
    std::vector<PeakMemory> peak_memory;  ///< by rank, on rank 0
};

std::vector<PeakMemory> peak_memory_of_all(const Communicator& world, const Backend& backend) {
    const DeviceMemoryUse device = backend.memory_use();
    const auto of_all = [&](double bytes) {
        return world.gather(std::bit_cast<std::uint64_t>(bytes));
    };
    const auto process_bytes = of_all(peak_memory_bytes());
    const auto device_bytes = of_all(device.peak_bytes);
    const auto library_bytes = of_all(device.library_bytes);
    std::vector<PeakMemory> ranks;
    for (std::size_t rank = 0; rank < process_bytes.size(); ++rank) {
        ranks.push_back({std::bit_cast<double>(process_bytes[rank]),
                         std::bit_cast<double>(device_bytes[rank]),
                         std::bit_cast<double>(library_bytes[rank])});
    }
    return ranks;
}

Outcome run(Trainer& trainer, RunRecorder& recorder, TrainingBreaks& breaks, const Backend& backend,
            const Communicator& world) {
    breaks.take_first();
    if (!breaks.is_stopped()) {
        trainer.run(recorder, breaks);
    }
    if (!breaks.is_stopped()) {
        breaks.take_last();
    }
    return {breaks.is_stopped(),
            breaks.lost_checkpoints(),
            breaks.validation_failure(),
            breaks.skipped_images(),
            world.all_reduce_sum(trainer.recorder().dropped()),
            peak_memory_of_all(world, backend)};
}

/// Writes the end of the run file; false where data was lost.
bool write_end(RunWriter& writer, const Outcome& outcome, const Trainer& trainer,
               const RunRecorder& recorder) {
    writer.set_skipped_images(outcome.skipped_images);
    writer.set_lost_checkpoints(outcome.lost_checkpoints);
    writer.set_dropped_spans(outcome.dropped_spans);
    writer.set_peak_memory(outcome.peak_memory);
    if (const auto overhead = trainer.overhead()) {
        writer.set_overhead(overhead_record(*overhead));
    }
    if (recorder.windows_us() > 0) {  // else this start had nothing left but to validate
        writer.set_wall_clock({recorder.windows_us(), trainer.wall_clock().elapsed_us,
                               trainer.wall_clock().paused_us});
    }
    return writer.finish(outcome.is_stopped ? RunStatus::interrupted : RunStatus::complete);
}

/// Until the watchdog, which has taken the word, ends the process.
[[noreturn]] void wait_for_the_end() {
    for (;;) {
        std::this_thread::sleep_for(std::chrono::seconds(1));
    }
}

/// Repetitions on other images would measure something else.
void require_images(const ImageIndex& images, const std::string& digest) {
    LL_VALIDATE(digest.empty() || images.digest() == digest, ExitCode::cannot_create,
                text("the images in '", images.root,
                     "' are not those of the repetitions that are "
                     "complete (files have come, gone or changed their class) put them back, or "
                     "use --output.overwrite true or another experiment.name"));
}

/// One training, which leaves one run file.
ExitCode train_once(Communicator& world, const Experiment& experiment,
                    const std::string& images_digest, bool dry_run, const std::string& command_line,
                    const std::string& lock, const Roll& roll, Heartbeat& heartbeat) {
    world.set_deadline(setup_deadline);
    log::keep_for_file();
    reset_peak_memory();
    const std::string path = run_file_path(experiment);
    if (dry_run) {
        world.agree_on_root(
            [&] { require_room_for_folder(std::filesystem::path(path).parent_path().string()); });
    }
    TrainingJob job = set_up(world, experiment, dry_run);
    if (!job.data_is_here) {
        log::info("nothing was staged, the images were not looked at (--dry-run)");
        return ExitCode::ok;
    }
    announce(job, world);
    world.agree_on_root([&] { require_images(job.images, images_digest); });
    const std::vector<Fact> identity = training_identity(job.experiment, *job.network, job.images,
                                                         world.size(), job.backend->info());
    const TrainingBreaks::ValidationSources validation = validation_sources(job, world);
    Beginning beginning = find_beginning(world, job.experiment, *job.network, job.options, identity,
                                         path, static_cast<bool>(validation));
    if (beginning.is_complete) {
        log::info(text("'", path, "' is complete: nothing is left to do"));
        return ExitCode::ok;
    }
    if (dry_run) {
        log::info("nothing was trained (--dry-run)");
        return ExitCode::ok;
    }

    connect_as_for_gradients(world);
    std::set<Connection> mpi_connections = own_connections();
    std::unique_ptr<Collective> collective =
        choose_collective(job.experiment, *job.backend, job.rank, world);
    const NetworkUse networks =
        network_use(std::move(mpi_connections), own_connections(), collective->name());
    std::unique_ptr<Trainer> trainer;
    world.agree([&] {
        trainer = std::make_unique<Trainer>(*job.network, *job.backend, *collective, world,
                                            *job.source, job.options);
    });
    go_on_from(beginning, *trainer, world);
    ClockReadings clocks(world, beginning.iteration);
    RunDescription description = describe_run(
        job.experiment, *job.network, *trainer, job.options, *job.backend, collective->name(),
        job.rank, world, clocks.map().readings().front(), command_line, validates(job));
    description.staging = job.staging;
    describe_images(description, job.images, path);
    if (const std::string lines = describe_networks(networks, job.rank.host, world);
        !lines.empty()) {
        announce_networks(lines);
        description.provenance.emplace_back("networks", lines);
    }
    const RecordLayout layout(description.extents());
    Gather gather(world, layout, table_digest(*job.network, description), clocks.map());

    world.set_deadline(nanoseconds_of(job.experiment.sync.timeout_seconds));

    std::unique_ptr<RunWriter> writer;
    Displays displays;
    world.agree_on_root([&] {
        refuse_old_tables(job.experiment, beginning.run_id);
        writer = open_run(job.experiment, beginning, path, description);
        write_lists(job.images, description.labels, path);
        open_displays(displays, job);
    });
    const std::vector<double> zero_skew_us =
        measure_zero_skew(world, *job.backend, *collective, trainer->buckets());
    if (writer) {
        clocks.record_in(*writer);
        writer->set_zero_skew(zero_skew_us);
    }
    RunRecorder recorder(world, gather, layout, beginning.iteration, job.options.iterations,
                         job.experiment.output.commit_seconds, writer.get(), displays.progress);
    TrainingBreaks breaks(
        {world, *job.network, job.options, *job.source, *trainer, recorder, clocks, writer.get()},
        job.experiment.train, job.experiment.profile.clock_every, validation,
        checkpoint_folder(job.experiment, path),
        checkpoint_template(description, identity, beginning));
    const LastWords last_words(job, description.labels, writer.get(), path, lock);
    Watchdog watchdog(orders(*trainer, job, roll, last_words));
    const Heartbeat::Change in_training(
        heartbeat, heartbeat_in_training(*trainer, job, roll, last_words, watchdog));
    Outcome outcome;
    try {
        outcome = run(*trainer, recorder, breaks, *job.backend, world);
        world.set_deadline(setup_deadline);  // what is left, rank 0 does while the others wait
    } catch (const AgreedError& error) {
        if (!watchdog.take_word()) {
            wait_for_the_end();
        }
        watchdog.word_is_out();
        if (writer) {
            last_words.write();
        }
        throw with_place(error, trainer->whereabouts().place(), *job.network, world);
    } catch (const std::exception& failure) {
        if (!watchdog.take_word()) {
            wait_for_the_end();
        }
        const Error error = explained(failure, trainer->whereabouts().place(), *job.network, roll);
        // Rank 0 may know nothing of it.
        last_words.write();
        watchdog.word_is_out();
        // The job is about to end, and a bucket may still be on its way, in the trainer's memory.
        static_cast<void>(trainer.release());
        static_cast<void>(collective.release());
        throw error;
    }
    bool complete = true;
    if (writer) {
        displays.progress.clear();
        complete = write_end(*writer, outcome, *trainer, recorder);
        if (complete) {
            const std::string summary = to_text(summarize(path));
            std::cout << summary << std::flush;
            displays.log << summary;
        }
    }
    // Nobody leaves while rank 0 still writes: a launcher may end the job with the first rank.
    complete = world.broadcast(static_cast<std::int64_t>(complete)) != 0;
    if (!complete || outcome.lost_checkpoints > 0) {
        return ExitCode::data_lost;
    }
    if (outcome.is_stopped) {
        log::info(text("stopped on request after iteration ", trainer->iterations_done(),
                       "; --train.resume auto goes on from there"));
        return ExitCode::interrupted;
    }
    if (outcome.validation_failure) {
        std::rethrow_exception(outcome.validation_failure);
    }
    return ExitCode::ok;
}

ExitCode train(Communicator& world, const std::vector<std::string>& arguments) {
    bool dry_run = false;
    const std::optional<Experiment> experiment =
        read_settings(world, "train", arguments, dry_run, require_run_file_name);
    if (!experiment) {
        return ExitCode::ok;
    }
    std::string command_line = "layerledger train";
    for (const std::string& argument : arguments) {
        command_line += " " + argument;
    }
    const std::vector<std::string> nodes = nodes_of_ranks(world);
    const std::vector<int> speakers = speakers_of(nodes);
    const Roll roll{world, nodes, speakers, experiment->sync.timeout_seconds};
    Heartbeat heartbeat(world, heartbeat_in_set_up(roll));
    const TrainOnce once = [&](const Experiment& one, const std::string& images_digest) {
        return train_once(world, one, images_digest, dry_run, command_line, lock_path(*experiment),
                          roll, heartbeat);
    };
    if (dry_run) {
        return once(*experiment, "");
    }
    std::optional<OutputLock> lock;
    world.agree_on_root([&] { lock.emplace(lock_path(*experiment)); });
    return run_experiment(world, *experiment, once);
}

}  // namespace

ExitCode run_train_command(int& argc, char**& argv, const std::vector<std::string>& arguments) {
    listen_for_stop_requests();
    return run_on_all_ranks(argc, argv, arguments,
                            [&](Communicator& world) { return train(world, arguments); });
}

}  // namespace layerledger
