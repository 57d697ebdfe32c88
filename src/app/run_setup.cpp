#include "run_setup.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "layerledger/backend/cpu.hpp"
#include "layerledger/backend/cuda.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/base/waited.hpp"
#include "layerledger/network/zoo.hpp"

namespace layerledger {
namespace {

constexpr double floats_per_mebibyte = 1024.0 * 1024.0 / sizeof(float);

/// The value behind a word that the configuration has already checked.
template <class Value, std::size_t N>
Value meaning(std::string_view word,
              const std::array<std::pair<std::string_view, Value>, N>& words) {
    const auto found = std::find_if(words.begin(), words.end(),
                                    [&](const auto& entry) { return entry.first == word; });
    LL_VALIDATE(found != words.end(), ExitCode::configuration,
                text("'", word, "' is not available"));
    return found->second;
}

Precision precision_of(std::string_view word) {
    return meaning<Precision, 3>(
        word, {{{"fp32", Precision::fp32}, {"tf32", Precision::tf32}, {"bf16", Precision::bf16}}});
}

OptimizerKind optimizer_of(std::string_view word) {
    return meaning<OptimizerKind, 4>(word, {{{"sgd", OptimizerKind::sgd},
                                             {"momentum", OptimizerKind::momentum},
                                             {"adagrad", OptimizerKind::adagrad},
                                             {"adadelta", OptimizerKind::adadelta}}});
}

Level level_of(std::string_view word) {
    return meaning<Level, 5>(word, {{{"off", Level::off},
                                     {"iteration", Level::iteration},
                                     {"layer", Level::layer},
                                     {"op", Level::op},
                                     {"kernel", Level::kernel}}});
}

DecayKind decay_of(Schedule schedule) {
    switch (schedule) {
        case Schedule::constant: return DecayKind::constant;
        case Schedule::step: return DecayKind::step;
        case Schedule::cosine: return DecayKind::cosine;
    }
    return DecayKind::constant;
}

Shard shard_of(const Communicator& world) {
    return {world.rank(), world.size()};
}

}  // namespace

CompileOptions compile_options(const Experiment& experiment, std::int64_t classes, int rank) {
    CompileOptions options;
    options.batch = experiment.train.batch_size;
    options.precision = precision_of(experiment.train.precision);
    options.seed = experiment.experiment.seed * 1'000'003 + static_cast<std::uint64_t>(rank);
    options.topk = std::min(experiment.train.topk, classes);
    return options;
}

std::size_t optimizer_states(const Experiment& experiment) {
    return state_count(optimizer_of(experiment.train.optimizer));
}

ImageIndex find_images(const Communicator& world, const RankMap& rank,
                       const DataSettings& settings) {
    if (settings.source == DataSource::synthetic) {
        return {};
    }
    std::string scanned;
    world.agree_on_root([&] {
        scanned = (settings.source == DataSource::packed ? read_packed_index(settings)
                                                         : scan_image_folder(settings))
                      .serialize();
    });
    ImageIndex images = ImageIndex::deserialize(world.broadcast(std::move(scanned)));
    // Each node may have its own. A folder's images go by their names, those of a packed file by
    // their places in it.
    images.root = settings.source == DataSource::folder ? settings.root : settings.file;
    world.agree([&] {
        if (settings.source == DataSource::packed && rank.local_rank == 0 && !world.is_root()) {
            LL_VALIDATE(read_packed_index(settings).digest() == images.digest(), ExitCode::bad_data,
                        text("'", settings.file, "' (data.file) on ", rank.host,
                             " holds other images than on the node of rank 0; copy the same file "
                             "to each node"));
        }
    });
    return images;
}

std::string why_no_validation(const DataSettings& settings) {
    switch (settings.source) {
        case DataSource::synthetic: return "data.source = synthetic makes no validation images";
        case DataSource::folder: return text("'", settings.root, "' has no folder val/");
        case DataSource::packed: return text("'", settings.file, "' holds no validation images");
    }
    return {};
}

Network choose_network(const Experiment& experiment, const ImageIndex& images) {
    const NetworkSettings& settings = experiment.network;
    const auto found = static_cast<std::int64_t>(images.classes.size());
    ZooOptions options;
    options.image_size = settings.image_size;
    options.normalization = normalization_from(settings.normalization);
    options.classes = settings.classes > 0 ? settings.classes : found;
    LL_VALIDATE(found <= options.classes, ExitCode::configuration,
                text("network.classes is ", options.classes, " but ", images.root, " has ", found,
                     " classes; raise it or choose some with data.classes"));
    return make_network(settings.architecture, options);
}

std::string why_no_gpu() {
    return cuda::why_unavailable();
}

BackendChoice choose_device(const Communicator& world, const Experiment& experiment) {
    const BackendChoice wanted = experiment.device.backend;
    if (wanted == BackendChoice::cpu) {
        return wanted;
    }
    const std::string why = why_no_gpu();
    world.agree([&] {
        LL_VALIDATE(
            wanted != BackendChoice::cuda || why.empty(), ExitCode::unavailable,
            text("device.backend=cuda is not available (", why, ") use device.backend=cpu"));
    });
    const bool all_can = world.all_reduce_min(std::int64_t{why.empty() ? 1 : 0}) == 1;
    return all_can ? BackendChoice::cuda : BackendChoice::cpu;
}

void require_available(const Experiment& experiment, BackendChoice device) {
    LL_VALIDATE(!experiment.train.graph || experiment.profile.level != "kernel",
                ExitCode::configuration,
                "train.graph=on and profile.level=kernel do not go together (kernels of a graph "
                "belong to no layer) use profile.level=op, or train.graph=off");
    LL_VALIDATE(!experiment.train.graph || device == BackendChoice::cuda, ExitCode::unavailable,
                "train.graph=on launches CUDA graphs (this run is on CPUs) use train.graph=off");
    LL_VALIDATE(
        experiment.sync.collective != CollectiveChoice::nccl || device == BackendChoice::cuda,
        ExitCode::unavailable,
        "sync.collective=nccl needs GPUs (this run is on CPUs) use sync.collective=mpi");
    LL_VALIDATE(experiment.profile.level != "kernel" || device == BackendChoice::cuda,
                ExitCode::unavailable,
                "profile.level=kernel looks inside GPU kernels (this run is on CPUs) use "
                "profile.level=op");
}

std::unique_ptr<Backend> choose_backend(const Experiment& experiment, BackendChoice device,
                                        const RankMap& rank, const Communicator& world) {
    std::unique_ptr<Backend> backend;
    if (device == BackendChoice::cuda) {
        const int sharers = cuda::count_sharers(world, rank, experiment.device.allow_shared_gpu);
        world.agree([&] {
            backend = cuda::make_backend({.sharers = sharers,
                                          .deterministic = experiment.train.deterministic,
                                          .stamps = experiment.profile.marks == "auto",
                                          .world = &world},
                                         rank);
        });
        return backend;
    }
    world.agree([&] {
        backend = cpu::make_backend({.threads = static_cast<int>(experiment.device.threads)}, rank);
    });
    return backend;
}

std::unique_ptr<Collective> choose_collective(const Experiment& experiment, Backend& backend,
                                              const RankMap& rank, const Communicator& world) {
    const bool overlap = experiment.sync.overlap;
    const std::chrono::nanoseconds deadline = nanoseconds_of(experiment.sync.timeout_seconds);
    if (backend.info().backend == "cuda") {
        const cuda::CollectiveKind kind = experiment.sync.collective == CollectiveChoice::mpi
                                              ? cuda::CollectiveKind::mpi
                                              : cuda::CollectiveKind::nccl;
        return cuda::make_collective(backend, rank, world,
                                     {.kind = kind, .overlap = overlap, .deadline = deadline});
    }
    return cpu::make_collective(world, {.overlap = overlap, .deadline = deadline});
}

std::unique_ptr<BatchSource> choose_source(const Experiment& experiment, const ImageIndex& images,
                                           const Network& network, const Communicator& world) {
    const std::int64_t batch = experiment.train.batch_size;
    const std::uint64_t seed = experiment.experiment.seed;
    if (experiment.data.source == DataSource::synthetic) {
        return make_synthetic_source(network.input(), network.classes(), batch, shard_of(world),
                                     seed);
    }
    return make_image_source(images, experiment.data, network.input(), batch, shard_of(world),
                             seed);
}

TrainerOptions trainer_options(const Experiment& experiment, const Network& network,
                               std::int64_t per_epoch, const Communicator& world) {
    const TrainSettings& train = experiment.train;
    LL_VALIDATE(train.iterations > 0 || per_epoch > 0, ExitCode::configuration,
                "how long to train is not said (synthetic data has no epochs) set "
                "train.iterations");

    if (per_epoch == 0 && (train.schedule == Schedule::step || train.warmup_epochs > 0)) {
        log::info(
            "synthetic data has no epochs: train.step_epochs and train.warmup_epochs do not "
            "change the learning rate");
    }

    TrainerOptions options;
    options.iterations = train.iterations > 0 ? train.iterations : train.epochs * per_epoch;
    options.iterations_per_epoch = per_epoch;
    options.digest_every = train.digest_every;
    options.seed = experiment.experiment.seed;
    options.bucket_floats = std::max<std::size_t>(
        16, static_cast<std::size_t>(experiment.sync.bucket_mb * floats_per_mebibyte));
    options.profile = {level_of(experiment.profile.level), experiment.profile.warmup,
                       experiment.profile.every, experiment.profile.overhead_check,
                       experiment.profile.kernel_every};
    options.learning_rate = {
        decay_of(train.schedule),
        train.learning_rate,
        train.step_factor,
        train.step_epochs * per_epoch,
        static_cast<std::int64_t>(train.warmup_epochs * static_cast<double>(per_epoch)),
        options.iterations};
    options.graph = train.graph;
    options.profile.rehearse = train.graph;
    options.optimizer.kind = optimizer_of(train.optimizer);
    options.optimizer.momentum = static_cast<float>(train.momentum);
    options.optimizer.weight_decay = static_cast<float>(train.weight_decay);
    options.optimizer.rho = static_cast<float>(train.rho);
    options.optimizer.epsilon = static_cast<float>(train.epsilon);
    options.optimizer.gradient_scale = 1.0F / static_cast<float>(world.size());
    options.compile = compile_options(experiment, network.classes(), world.rank());
    return options;
}

}  // namespace layerledger
