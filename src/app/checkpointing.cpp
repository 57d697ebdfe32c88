#include "checkpointing.hpp"

#include <algorithm>
#include <iomanip>
#include <map>
#include <sstream>

#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/train/validation.hpp"
#include "setting_differences.hpp"

namespace layerledger {
namespace {

std::string hexadecimal(std::uint64_t value) {
    std::ostringstream out;
    out << std::hex << std::setw(16) << std::setfill('0') << value;
    return std::move(out).str();
}

std::string value_of(const std::vector<Fact>& facts, const std::string& name) {
    const auto found = std::ranges::find(facts, name, &Fact::first);
    return found == facts.end() ? std::string() : found->second;
}

bool is_same(const Checkpoint& checkpoint, const std::vector<Fact>& identity,
             std::initializer_list<const char*> names) {
    return std::ranges::all_of(names, [&](const char* name) {
        return checkpoint.identity_of(name) == value_of(identity, name);
    });
}

std::vector<std::vector<float>> tensors_for(Checkpoint& checkpoint, const Network& network,
                                            std::vector<float>& (*part)(Checkpoint::Tensor&,
                                                                        std::size_t),
                                            std::size_t which, std::size_t& missing) {
    std::map<std::string, Checkpoint::Tensor*> by_name;
    for (Checkpoint::Tensor& tensor : checkpoint.parameters) {
        by_name[tensor.name] = &tensor;
    }
    std::vector<std::vector<float>> values;
    missing = 0;
    for (const Parameter& parameter : network.parameters()) {
        const auto found = by_name.find(parameter.name);
        if (found != by_name.end() && found->second->dims == parameter.dims) {
            values.push_back(std::move(part(*found->second, which)));
        } else {
            values.emplace_back();
            ++missing;
        }
    }
    return values;
}

}  // namespace

std::vector<Fact> training_identity(const Experiment& experiment, const Network& network,
                                    const ImageIndex& images, int ranks, const DeviceInfo& device) {
    std::vector<Fact> facts{
        {"network", network.name()},
        {"network_digest", hexadecimal(network.digest())},
        {"world_size", text(ranks)},
        {"batch_size", text(experiment.train.batch_size)},
        {"seed", text(experiment.experiment.seed)},
        {"optimizer", experiment.train.optimizer},
        {"precision", experiment.train.precision},
        {"backend", device.backend},
        {"data", experiment.data.source == DataSource::synthetic ? "synthetic" : "images"},
    };
    if (!images.train.empty()) {
        facts.emplace_back("images", text(images.train.size()));
        facts.emplace_back("images_digest", images.digest());
    }
    return facts;
}

std::string differences(const Checkpoint& checkpoint, const std::vector<Fact>& identity) {
    std::string all;
    for (const auto& [name, here] : identity) {
        const std::string there = checkpoint.identity_of(name);
        if (there != here) {
            all += text(all.empty() ? "" : ", ", name, " (", there.empty() ? "none" : there,
                        " there, ", here, " here)");
        }
    }
    return all;
}

std::string changed_settings(const Checkpoint& checkpoint, const Experiment& experiment) {
    std::vector<Fact> there;
    try {
        for (SettingText& setting : parse_ini(checkpoint.config_text).settings) {
            there.emplace_back(std::move(setting.key), std::move(setting.value));
        }
    } catch (const Error&) {
        return "";  // of a version with other settings
    }
    return setting_differences(there, experiment, Trainings::resumed);
}

void put_state(Checkpoint& checkpoint, TrainerState state, const Network& network,
               OptimizerKind optimizer) {
    checkpoint.iteration = state.iteration;
    checkpoint.next_batch = state.iteration;  // each iteration takes one
    for (const std::string_view name : state_names(optimizer)) {
        checkpoint.state_names.emplace_back(name);
    }
    for (const Parameter& parameter : network.parameters()) {
        const std::size_t p = parameter.id.index();
        Checkpoint::Tensor tensor{
            parameter.name, parameter.dims, std::move(state.parameters[p]), {}};
        for (std::vector<std::vector<float>>& vector : state.optimizer) {
            tensor.optimizer.push_back(std::move(vector[p]));
        }
        checkpoint.parameters.push_back(std::move(tensor));
    }
    checkpoint.statistics = std::move(state.statistics);
    checkpoint.random = std::move(state.random);
}

TrainerState take_state(Checkpoint& checkpoint, const Network& network, OptimizerKind optimizer,
                        const std::vector<Fact>& identity, int ranks) {
    using Tensor = Checkpoint::Tensor;
    TrainerState state;
    state.iteration = checkpoint.iteration;
    std::size_t missing = 0;
    const auto names = state_names(optimizer);
    if (std::ranges::equal(names, checkpoint.state_names)) {
        for (std::size_t k = 0; k < names.size(); ++k) {
            state.optimizer.push_back(tensors_for(
                checkpoint, network,
                [](Tensor & tensor, std::size_t which) -> auto& { return tensor.optimizer[which]; },
                k, missing));
        }
    }
    state.parameters = tensors_for(
        checkpoint, network, [](Tensor & tensor, std::size_t) -> auto& { return tensor.values; }, 0,
        missing);
    if (missing > 0) {
        log::warning(text(missing, " of ", network.parameters().size(),
                          " parameters begin anew (the checkpoint has none of their name and "
                          "shape)"));
    }
    if (is_same(checkpoint, identity, {"network_digest"})) {
        state.statistics = is_same(checkpoint, identity, {"world_size"})
                               ? std::move(checkpoint.statistics)
                               : std::vector(static_cast<std::size_t>(ranks),
                                             mean_statistics(checkpoint.statistics));
        if (is_same(checkpoint, identity, {"world_size", "seed", "backend"})) {
            state.random = std::move(checkpoint.random);
        }
    }
    return state;
}

}  // namespace layerledger
