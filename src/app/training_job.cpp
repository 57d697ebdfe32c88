#include "training_job.hpp"

#include "injection.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/data/image_check.hpp"
#include "memory_check.hpp"
#include "run_paths.hpp"
#include "run_setup.hpp"
#include "stage_data.hpp"

namespace layerledger {
namespace {

/// Where a training has its images from.
std::string images_of(const TrainingJob& job) {
    const DataSettings& data = job.experiment.data;
    if (data.source == DataSource::synthetic) {
        return "synthetic";
    }
    return text(data.source == DataSource::packed ? "packed" : "folder", " '", job.images.root,
                "', ", job.images.train.size(), " for training, ", job.images.val.size(),
                " for validation");
}

void look_at_validation_images(const ImageIndex& images, Shard shard) {
    const std::size_t seen = require_readable_validation(images, shard);
    const std::size_t all = images.val.size() / static_cast<std::size_t>(shard.ranks);
    if (seen < all) {
        log::info(text("looked at ", seen, " of this rank's ", all,
                       " validation images, there was no time for more"));
    }
}

}  // namespace

TrainingJob set_up(const Communicator& world, const Experiment& experiment, bool dry_run) {
    TrainingJob job;
    job.experiment = experiment;
    job.rank = map_rank(world);
    log::set_rank(world.rank(), job.rank.host);
    const StagedData staged = stage_data(world, job.rank, job.experiment, dry_run);
    job.data_is_here = staged.is_here;
    job.staging = staged.record;
    if (!staged.is_here) {
        return job;
    }
    job.images = find_images(world, job.rank, staged.settings);
    const BackendChoice device = choose_device(world, job.experiment);
    world.agree([&] {
        require_available(job.experiment, device);
        if (validates(job) && job.experiment.data.source == DataSource::folder &&
            job.experiment.data.on_error == OnError::abort) {
            look_at_validation_images(job.images, {world.rank(), world.size()});
        }
        job.network = choose_network(job.experiment, job.images);
    });
    job.backend = choose_backend(job.experiment, device, job.rank, world);
    const CompileOptions compile =
        compile_options(job.experiment, job.network->classes(), world.rank());
    world.agree([&] { job.backend->require(compile.precision); });
    require_memory(world, job.rank, job.experiment, compile, *job.network, *job.backend,
                   validates(job));
    world.agree([&] {
        job.source = choose_source(job.experiment, job.images, *job.network, world);
        job.options = trainer_options(job.experiment, *job.network,
                                      job.source->iterations_per_epoch(), world);
        job.options.injection = injection_on(world.rank(), world.size(), job.experiment,
                                             *job.network, job.backend->info());
    });
    return job;
}

bool validates(const TrainingJob& job) {
    return job.experiment.train.validate && !job.images.val.empty();
}

void announce(const TrainingJob& job, const Communicator& world) {
    const TrainSettings& train = job.experiment.train;
    if (train.validate && train.validate_every > 0 && job.images.val.empty()) {
        log::warning(text("train.validate_every = ", train.validate_every,
                          " has no effect: ", why_no_validation(job.experiment.data)));
    }
    const Network& network = *job.network;
    log::info(text(network.name(), ", ", network.classes(), " classes, ",
                   fixed(static_cast<double>(network.parameter_elements()) / 1e6, 2),
                   " M parameters; ", world.size(), world.size() == 1 ? " rank" : " ranks", " x ",
                   job.options.compile.batch, " images on ", job.backend->info().name, "; ",
                   job.options.iterations, " iterations"));
    log::info(text("images: ", images_of(job), "; output: '", run_file_path(job.experiment), "'"));
    if (job.options.profile.level != Level::off &&
        job.options.profile.warmup >= job.options.iterations) {
        log::info(text("nothing is measured: profile.warmup (", job.options.profile.warmup,
                       ") takes all iterations"));
    }
    if (job.experiment.device.backend == BackendChoice::automatic) {
        const std::string why = why_no_gpu();
        log::info(text("device.backend=auto chose ", job.backend->info().backend,
                       why.empty() ? "" : text(" (", why, ")")));
    }
}

}  // namespace layerledger
