#include "train_command.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <filesystem>
#include <iostream>
#include <optional>
#include <thread>

#include "command_line.hpp"
#include "describe_run.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/comm/mpi_session.hpp"
#include "layerledger/record/run_reader.hpp"
#include "layerledger/train/validation.hpp"
#include "progress.hpp"
#include "run_recorder.hpp"
#include "run_setup.hpp"
#include "stage_data.hpp"

namespace layerledger {
namespace {

/// Rank 0 reads the command line, the environment and the files; the others get the outcome, so
/// that a mistake is reported once. Empty where the command line asked for a text only.
std::optional<Experiment> read_settings(const Communicator& world,
                                        const std::vector<std::string>& arguments, bool& dry_run) {
    std::string ini;
    bool go_on = true;
    Experiment experiment;
    world.agree_on_root([&] {
        ParsedCommandLine parsed = parse_command_line(arguments, process_environment());
        if (parsed.help) {
            std::cout << usage(find_subcommand("train")) << "\n" << settings_help();
        } else if (parsed.print_config) {
            std::cout << parsed.experiment.to_ini();
        }
        go_on = !parsed.help && !parsed.print_config;
        dry_run = parsed.dry_run;
        experiment = std::move(parsed.experiment);
        ini = experiment.to_ini();
    });
    go_on = world.broadcast(static_cast<std::int64_t>(go_on)) != 0;
    dry_run = world.broadcast(static_cast<std::int64_t>(dry_run)) != 0;
    ini = world.broadcast(std::move(ini));
    if (!go_on) {
        return std::nullopt;
    }
    if (!world.is_root()) {
        experiment = parse_ini(ini);  // without origins, which only messages need
    }
    return experiment;
}

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
    StagedData data;
    ImageIndex images;
    std::optional<Network> network;
    std::unique_ptr<Backend> backend;
    std::unique_ptr<BatchSource> source;
    TrainerOptions options;
};

/// With `dry_run` no image is moved; where some would have to be, nothing else is set up.
Job set_up(const Communicator& world, Experiment experiment, bool dry_run) {
    Job job;
    job.experiment = std::move(experiment);
    job.rank = map_rank(world);
    log::set_rank(world.rank(), job.rank.host);
    job.data = stage_data(world, job.rank, job.experiment, dry_run);
    if (!job.data.is_here) {
        return job;
    }
    job.images = find_images(world, job.data.settings);
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

/// What training ended with.
struct Outcome {
    std::optional<Validation> validation;
    std::int64_t skipped_images = 0;  ///< of all ranks
    std::int64_t dropped_spans = 0;
};

Outcome run(const Job& job, Trainer& trainer, RunRecorder& recorder, const Communicator& world) {
    trainer.run(recorder);
    recorder.flush();
    Outcome outcome;
    std::int64_t skipped = job.source->skipped();
    if (!job.images.val.empty() && job.experiment.train.validate) {
        const auto source =
            make_validation_source(job.images, job.experiment.data, job.network->input(),
                                   job.options.compile.batch, {world.rank(), world.size()});
        outcome.validation = validate(*job.network, trainer.ops(), *source, world);
        skipped += source->skipped();
    }
    outcome.skipped_images = world.all_reduce_sum(skipped);
    outcome.dropped_spans = world.all_reduce_sum(trainer.recorder().dropped());
    return outcome;
}

/// Writes the end of the run file; false where data was lost.
bool write_end(RunWriter& writer, const Job& job, const Outcome& outcome, const Trainer& trainer,
               const RunRecorder& recorder) {
    writer.set_skipped_images(outcome.skipped_images);
    writer.set_dropped_spans(outcome.dropped_spans);
    if (const auto overhead = trainer.overhead()) {
        writer.set_overhead(overhead_record(*overhead));
    }
    writer.set_wall_clock(
        {recorder.windows_us(), trainer.wall_clock().elapsed_us, trainer.wall_clock().paused_us});
    if (const auto& validation = outcome.validation) {
        writer.set_validation({validation->loss, validation->top1, validation->topk,
                               validation->images, validation->seconds, job.options.iterations});
    }
    return writer.finish(RunStatus::complete);
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
    std::optional<Experiment> experiment = read_settings(world, arguments, dry_run);
    if (!experiment) {
        return ExitCode::ok;
    }
    Job job = set_up(world, std::move(*experiment), dry_run);
    if (!job.data.is_here) {
        log::info("nothing was staged, the images were not looked at (--dry-run)");
        return ExitCode::ok;
    }
    announce(job, world);
    if (dry_run) {
        log::info("nothing was trained (--dry-run)");
        return ExitCode::ok;
    }

    const auto collective = choose_collective(job.experiment, world);
    std::optional<Trainer> trainer;
    world.agree([&] {
        trainer.emplace(*job.network, *job.backend, *collective, world, *job.source, job.options);
    });
    const Communicator::ClockOffset clock = world.measure_clock_offset();
    std::string command_line = "layerledger train";
    for (const std::string& argument : arguments) {
        command_line += " " + argument;
    }
    RunDescription description =
        describe_run(job.experiment, *job.network, *trainer, job.options, *job.backend,
                     collective->name(), job.rank, world, clock, command_line);
    description.staging = job.data.record;
    const RecordLayout layout(description.extents());
    Gather gather(world, layout, table_digest(*job.network, description), clock.offset_ns);

    world.set_deadline(std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(job.experiment.sync.timeout_seconds)));

    const std::string path = output_path(job.experiment);
    std::optional<RunWriter> writer;
    std::optional<Progress> progress;
    world.agree_on_root([&] {
        writer.emplace(path, description, job.experiment.output.overwrite);
        ProgressOptions display = progress_options(job.experiment.output.progress,
                                                   job.experiment.output.progress_seconds);
        display.iterations = job.options.iterations;
        display.iterations_per_epoch = job.options.iterations_per_epoch;
        progress.emplace(std::cout, std::move(display));
    });
    RunRecorder recorder(world, gather, layout, job.options.iterations,
                         job.experiment.output.commit_seconds, writer ? &*writer : nullptr,
                         progress ? &*progress : nullptr);
    Outcome outcome;
    try {
        outcome = run(job, *trainer, recorder, world);
    } catch (...) {
        mark_the_failure(std::current_exception(), writer ? &*writer : nullptr, path);
        throw;
    }
    bool complete = true;
    if (writer) {
        progress.reset();
        complete = write_end(*writer, job, outcome, *trainer, recorder);
        if (complete) {
            std::cout << to_text(summarize(path));
        }
    }
    // Nobody leaves while rank 0 still writes: a launcher may end the job with the first rank.
    complete = world.broadcast(static_cast<std::int64_t>(complete)) != 0;
    return complete ? ExitCode::ok : ExitCode::data_lost;
}

}  // namespace

namespace {

/// Ends the job because of an error that other ranks do not know of. Where several ranks fail at
/// once the lowest speaks: its abort silences the others before their turn comes.
[[noreturn]] void give_up(const Communicator& world, ExitCode code, const std::string& what) {
    constexpr std::chrono::milliseconds turn{250};
    constexpr int turns = 20;
    std::this_thread::sleep_for(std::min(world.rank(), turns) * turn);
    log::error(text("rank ", world.rank(), ": ", one_line(what)));
    abort_job(code);
}

}  // namespace

ExitCode run_train_command(int& argc, char**& argv, const std::vector<std::string>& arguments) {
    const MpiSession session(argc, argv);
    Communicator world = Communicator::world();
    try {
        return train(world, arguments);
    } catch (const AgreedError& error) {
        if (error.met_here()) {
            log::error(one_line(error.what()));
        }
        return error.code();
    } catch (const Error& error) {
        give_up(world, error.code(), error.what());
    } catch (const std::exception& error) {
        give_up(world, ExitCode::internal, error.what());
    }
}

}  // namespace layerledger
