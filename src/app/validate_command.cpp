#include "validate_command.hpp"

#include <iostream>
#include <optional>

#include "checkpointing.hpp"
#include "last_words.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/train/arena.hpp"
#include "layerledger/train/validation.hpp"
#include "mpi_command.hpp"
#include "run_setup.hpp"
#include "stage_data.hpp"
#include "trained_settings.hpp"

namespace layerledger {
namespace {

/// Takes "--checkpoint PATH" out of the arguments; the rest are settings.
std::string take_checkpoint_path(std::vector<std::string>& arguments) {
    const std::string option = "--checkpoint";
    std::string path;
    for (auto word = arguments.begin(); word != arguments.end();) {
        if (word->starts_with(option + "=")) {
            path = word->substr(option.size() + 1);
            word = arguments.erase(word);
        } else if (*word == option && std::next(word) != arguments.end()) {
            path = *std::next(word);
            word = arguments.erase(word, word + 2);
        } else {
            ++word;
        }
    }
    return path;
}

/// The network with the parameters and the mean running statistics of a checkpoint.
class TrainedNetwork {
public:
    /// Collective; `state` is rank 0's.
    TrainedNetwork(const Network& network, Backend& backend, const CompileOptions& options,
                   TrainerState state, const Communicator& world)
        : recorder_(backend.marks(), {network.layers().size(), 0, 0}, 0),
          ops_(backend.compile(network, options, recorder_)) {
        const ArenaPlan arena = plan_arena(network, ops_->parameter_storage());
        parameters_ = backend.allocate(arena.size);
        gradients_ = backend.allocate(arena.size);
        ops_->bind(parameters_->span(), gradients_->span(), arena.parameter_offsets);
        state = share(std::move(state), world);
        for (const Parameter& parameter : network.parameters()) {
            ops_->import_parameter(parameter.id, state.parameters.at(parameter.id.index()));
        }
        ops_->set_state(mean_statistics(state.statistics));
    }
    [[nodiscard]] LayerOps& ops() noexcept { return *ops_; }

private:
    Recorder recorder_;
    std::unique_ptr<LayerOps> ops_;
    std::unique_ptr<Buffer> parameters_;
    std::unique_ptr<Buffer> gradients_;
};

/// What settings leave open, as many classes as the data has, the network decides.
void require_same_network(const Checkpoint& checkpoint, const std::string& path,
                          const Experiment& experiment, const Network& network,
                          const std::vector<Fact>& identity) {
    std::vector<Fact> facts;
    for (const Fact& fact : identity) {
        if (fact.first == "network" || fact.first == "network_digest") {
            facts.push_back(fact);
        }
    }
    const std::string given = network_differences(experiment, checkpoint);
    LL_VALIDATE(
        differences(checkpoint, facts).empty(), ExitCode::configuration,
        text("'", path, "' is of another network: ", given.empty() ? "its classes are not " : given,
             given.empty() ? text(network.classes(), ", as many as these images have") : "",
             "; give the images and classes that it was trained with"));
}

ExitCode validate_checkpoint(Communicator& world, std::string path,
                             const std::vector<std::string>& arguments) {
    bool dry_run = false;
    std::optional<Checkpoint> checkpoint;  // rank 0's
    const auto take_trained_settings = [&](Experiment& given) {
        LL_VALIDATE(!path.empty(), ExitCode::usage,
                    "no checkpoint is given (command line); write --checkpoint FILE or FOLDER");
        CheckpointFolder::Found found = find_checkpoint(path);
        path = found.path;
        given = with_trained_settings(std::move(given), found.checkpoint, path);
        checkpoint = std::move(found.checkpoint);
    };
    const std::optional<Experiment> experiment =
        read_settings(world, "validate", arguments, dry_run, take_trained_settings);
    if (!experiment) {
        return ExitCode::ok;
    }
    const std::vector<std::string> nodes = nodes_of_ranks(world);
    const std::vector<int> speakers = speakers_of(nodes);
    const Heartbeat heartbeat(
        world, heartbeat_in_set_up({world, nodes, speakers, experiment->sync.timeout_seconds}));
    world.set_deadline(setup_deadline);
    const RankMap rank = map_rank(world);
    log::set_rank(world.rank(), rank.host);
    const StagedData staged = stage_data(world, rank, *experiment, dry_run);
    if (!staged.is_here) {
        log::info("nothing was staged, the images were not looked at (--dry-run)");
        return ExitCode::ok;
    }
    const ImageIndex images = find_images(world, rank, staged.settings);
    std::optional<Network> network;
    std::unique_ptr<Backend> backend;
    TrainerState state;
    const BackendChoice device = choose_device(world, *experiment);
    world.agree([&] {
        require_available(*experiment, device);
        LL_VALIDATE(!images.val.empty(), ExitCode::input_missing,
                    text("there is nothing to validate on (", why_no_validation(staged.settings),
                         ") name images by data.source = folder and data.root, or packed and "
                         "data.file"));
        network = choose_network(*experiment, images);
    });
    backend = choose_backend(*experiment, device, rank, world);
    world.agree([&] {
        if (checkpoint) {
            const std::vector<Fact> identity =
                training_identity(*experiment, *network, images, world.size(), backend->info());
            require_same_network(*checkpoint, path, *experiment, *network, identity);
            state = take_state(*checkpoint, *network, OptimizerKind::sgd, identity, 1);
        }
    });
    CompileOptions options = trainer_options(*experiment, *network, 1, world).compile;
    options.inference_only = true;
    if (dry_run) {
        log::info("nothing was validated (--dry-run)");
        return ExitCode::ok;
    }
    std::optional<TrainedNetwork> trained;
    const std::int64_t iteration = world.broadcast(state.iteration);
    trained.emplace(*network, *backend, options, std::move(state), world);
    const auto source = make_validation_source(images, experiment->data, network->input(),
                                               options.batch, {world.rank(), world.size()});
    const Validation result = validate(*network, trained->ops(), *source, world);
    const std::int64_t skipped = world.all_reduce_sum(source->skipped());
    if (world.is_root()) {
        std::cout << text(path, ": iteration ", iteration, "  loss ", fixed(result.loss, 6),
                          "  top-1 ", fixed(100 * result.top1, 2), " %  top-", options.topk, " ",
                          fixed(100 * result.topk, 2), " %  ", result.images, " images",
                          skipped > 0 ? text(" (", skipped, " skipped)") : "", "  ",
                          fixed(result.seconds, 2), " s\n");
    }
    return ExitCode::ok;
}

}  // namespace

ExitCode run_validate_command(int& argc, char**& argv, const std::vector<std::string>& arguments) {
    std::vector<std::string> settings = arguments;
    const std::string path = take_checkpoint_path(settings);
    return run_on_all_ranks(argc, argv, settings, [&](Communicator& world) {
        return validate_checkpoint(world, path, settings);
    });
}

}  // namespace layerledger
