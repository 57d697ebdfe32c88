#include "describe_run.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "layerledger/base/fnv1a.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/network/costs.hpp"
#include "memory_check.hpp"
#include "provenance.hpp"
#include "run_setup.hpp"

namespace layerledger {
namespace {

/// Names of distinct algorithms in a layer, in the order of its operations.
std::string joined_algorithms(const std::vector<std::string>& names) {
    std::string joined;
    std::vector<std::string> seen;
    for (const std::string& name : names) {
        if (!name.empty() && std::find(seen.begin(), seen.end(), name) == seen.end()) {
            joined += text(joined.empty() ? "" : "; ", name);
            seen.push_back(name);
        }
    }
    return joined;
}

/// Bytes of a layer's parameters as the device keeps them; as many again for their gradients and
/// for each state of the optimizer.
std::int64_t parameter_bytes(const Network& network, LayerId layer,
                             std::span<const std::size_t> storage) {
    std::size_t floats = 0;
    for (const Op& op : network.ops_of(layer)) {
        for (const ParameterId parameter : op.parameters) {
            floats += storage[parameter.index()];
        }
    }
    return static_cast<std::int64_t>(floats * sizeof(float));
}

std::vector<LayerDescription> describe_layers(const Network& network, const CostBasis& basis,
                                              const LayerOps& ops) {
    const std::vector<Implementation> implementations = ops.implementations();
    std::vector<LayerDescription> layers;
    for (const Layer& layer : network.layers()) {
        LayerDescription description;
        description.name = layer.name;
        description.kind = layer.kind;
        description.parameters = layer_parameters(network, layer.id);
        for (const Phase phase : phases) {
            const Cost cost = layer_cost(network, layer.id, phase, basis);
            description.flops.at(index(phase)) = cost.flops;
            description.bytes.at(index(phase)) = cost.bytes;
        }
        description.parameter_bytes = parameter_bytes(network, layer.id, ops.parameter_storage());
        description.gradient_bytes = description.parameter_bytes;
        description.optimizer_bytes = description.parameter_bytes * basis.optimizer_states;
        std::vector<std::string> algorithms;
        for (const Implementation& one : implementations) {
            if (network.op(one.op).layer == layer.id) {
                algorithms.push_back(one.algorithm);
                description.workspace_bytes += static_cast<std::int64_t>(one.workspace_bytes);
                description.activation_bytes += static_cast<std::int64_t>(one.activation_bytes);
                description.gradient_bytes += static_cast<std::int64_t>(one.gradient_bytes);
            }
        }
        description.algorithm = joined_algorithms(algorithms);
        layers.push_back(std::move(description));
    }
    return layers;
}

std::vector<OpDescription> describe_ops(const Network& network) {
    std::vector<OpDescription> ops;
    for (const Op& op : network.ops()) {
        ops.push_back({op.name, std::string(kind_name(op.attributes)), op.layer.value});
    }
    return ops;
}

std::vector<BucketDescription> describe_buckets(const Network& network,
                                                const std::vector<Bucket>& buckets) {
    std::vector<BucketDescription> descriptions;
    for (const Bucket& bucket : buckets) {
        BucketDescription description{
            .bytes = static_cast<std::int64_t>(bucket.slice.size * sizeof(float)), .layers = {}};
        for (const LayerId layer : bucket.layers) {
            description.layers +=
                text(description.layers.empty() ? "" : " ", network.layer(layer).name);
        }
        descriptions.push_back(std::move(description));
    }
    return descriptions;
}

std::vector<RankDescription> describe_ranks(const Communicator& world, const RankMap& rank,
                                            const DeviceInfo& device, const ClockReading& clock,
                                            double needed_bytes) {
    const std::vector<std::string> hosts = world.gather(rank.host);
    const std::vector<std::string> names = world.gather(device.name);
    const std::vector<std::string> uuids = world.gather(device.uuid);
    const auto numbers = [&](std::int64_t value) {
        return world.gather(static_cast<std::uint64_t>(value));
    };
    const auto local_ranks = numbers(rank.local_rank);
    const auto threads = numbers(device.threads);
    const auto offsets = numbers(clock.offset_ns);
    const auto bounds = numbers(clock.bound_ns);
    const auto needed = numbers(static_cast<std::int64_t>(needed_bytes));
    std::vector<RankDescription> ranks;
    for (std::size_t i = 0; i < hosts.size(); ++i) {
        ranks.push_back(
            {hosts[i], static_cast<std::int32_t>(local_ranks[i]), names[i], uuids[i],
             static_cast<std::int32_t>(threads[i]), static_cast<std::int64_t>(offsets[i]),
             static_cast<std::int64_t>(bounds[i]), static_cast<std::int64_t>(needed[i])});
    }
    return ranks;
}

/// Whether two ranks compute on one GPU; on CPUs none has a name that could be another's.
bool share_a_gpu(const std::vector<RankDescription>& ranks) {
    std::set<std::string> seen;
    return std::any_of(ranks.begin(), ranks.end(), [&](const RankDescription& rank) {
        return !rank.device_uuid.empty() && !seen.insert(rank.device_uuid).second;
    });
}

}  // namespace

RunDescription describe_run(const Experiment& experiment, const Network& network, Trainer& trainer,
                            const TrainerOptions& options, const Backend& backend,
                            const std::string& collective, const RankMap& rank,
                            const Communicator& world, const ClockReading& clock,
                            const std::string& command_line, bool validates) {
    RunDescription run;
    run.title = experiment.experiment.name;
    run.run_id = new_run_id();
    run.date_created = utc_now();
    run.level = options.profile.level;
    run.warmup_iterations = options.profile.warmup;
    run.batch_size = options.compile.batch;
    run.config_text = experiment.to_ini();
    run.settings = experiment.settings;
    const CostBasis basis{options.compile.batch,
                          options.compile.precision == Precision::bf16 ? 2 : 4,
                          static_cast<std::int64_t>(state_count(options.optimizer.kind))};
    run.layers = describe_layers(network, basis, trainer.ops());
    run.ops = describe_ops(network);
    run.buckets = describe_buckets(network, trainer.buckets());
    run.ranks = describe_ranks(
        world, rank, backend.info(), clock,
        estimated_bytes(memory_need(experiment, options.compile, network, backend, validates),
                        backend.info()));

    const Shape image = network.input();
    run.network = {{"name", network.name()},
                   {"classes", text(network.classes())},
                   {"image", text(image.channels, "x", image.height, "x", image.width)},
                   {"parameters", text(network.parameter_elements())},
                   {"forward_macs", text(forward_macs(network))},
                   {"precision", experiment.train.precision},
                   {"backend", backend.info().backend},
                   {"collective", collective}};
    if (share_a_gpu(run.ranks)) {
        run.network.push_back({"shared_gpu", "yes"});
        log::warning("ranks share a GPU (device.allow_shared_gpu) times of such a run say nothing");
    }
    std::vector<std::string> hosts;
    for (const RankDescription& description : run.ranks) {
        hosts.push_back(description.host);
    }
    run.provenance = provenance(command_line, hosts);
    if (backend.info().backend == "cuda") {
        for (Fact& version : gpu_library_versions()) {
            run.provenance.push_back(std::move(version));
        }
    }
    run.provenance.emplace_back("marks", backend.info().marks);
    run.start = describe_start(command_line, hosts);
    return run;
}

void describe_images(RunDescription& run, const ImageIndex& images, const std::string& path) {
    if (images.classes.empty()) {
        return;
    }
    const std::string stem = std::filesystem::path(path).stem().native();
    LabelDescription& labels = run.labels;
    labels.classes = images.classes;
    labels.names = images.class_names;
    labels.train_images = static_cast<std::int64_t>(images.train.size());
    labels.val_images = static_cast<std::int64_t>(images.val.size());
    labels.train_list = stem + ".train.tsv";
    labels.val_list = images.val.empty() ? std::string() : stem + ".val.tsv";
    run.provenance.emplace_back("data_root", images.root);
    run.provenance.emplace_back("data_digest", images.digest());
}

std::uint64_t table_digest(const Network& network, const RunDescription& description) {
    Fnv1a digest;
    digest.add(network.digest());
    digest.add(static_cast<std::uint64_t>(description.level));
    for (const BucketDescription& bucket : description.buckets) {
        digest.add(static_cast<std::uint64_t>(bucket.bytes));
    }
    return digest.value();
}

}  // namespace layerledger
