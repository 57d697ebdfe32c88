#include "memory_check.hpp"

#include <bit>
#include <optional>
#include <string>

#include "layerledger/base/text.hpp"
#include "run_setup.hpp"

namespace layerledger {
namespace {

/// Where something does not fit, and how much is there.
struct Shortage {
    double needed = 0;
    double available = 0;
    std::string place;
};

/// The first of this rank's memories that is too small.
std::optional<Shortage> shortage(const MemoryNeed& need, const DeviceInfo& device,
                                 const RankMap& rank) {
    const auto of_device = static_cast<double>(device.memory_bytes);
    const auto of_host = static_cast<double>(rank.memory_bytes);
    const double wanted = estimated_bytes(need, device);
    if (wanted > of_device) {
        return Shortage{
            wanted, of_device,
            text(device.has_own_memory ? device.name : std::string("memory"), " of ", rank.host)};
    }
    if (device.has_own_memory && need.host > of_host) {
        return Shortage{need.host, of_host, text("memory of ", rank.host, " for batches")};
    }
    return {};
}

}  // namespace

MemoryNeed memory_need(const Experiment& experiment, const CompileOptions& compile,
                       const Network& network, const Backend& backend, bool validates) {
    const std::size_t states = optimizer_states(experiment);
    const double parameters = static_cast<double>(network.parameter_elements()) * sizeof(float);
    const double arenas = static_cast<double>(2 + states) * parameters;
    // On rank 0 parameters and states, and one of them in the layout of the device; where a run
    // goes on every rank has as much.
    const bool has_checkpoints =
        experiment.train.checkpoint_every > 0 || experiment.train.resume != "none";
    const double checkpoint = has_checkpoints ? static_cast<double>(2 + states) * parameters : 0.0;
    const auto host_batches =
        static_cast<double>((validates ? 2 : 1) * (experiment.data.prefetch + 1));
    const double input = host_batches * static_cast<double>(compile.batch) *
                         static_cast<double>(network.input().elements()) * sizeof(float);
    return {static_cast<double>(backend.estimate_bytes(network, compile)) + arenas,
            checkpoint + input};
}

double estimated_bytes(const MemoryNeed& need, const DeviceInfo& device) {
    return device.has_own_memory ? need.device : need.device + need.host;
}

void require_memory(const Communicator& world, const RankMap& rank, const Experiment& experiment,
                    const CompileOptions& compile, const Network& network, const Backend& backend,
                    bool validates) {
    const auto short_of = [&](std::int64_t batch) {
        CompileOptions options = compile;
        options.batch = batch;
        return shortage(memory_need(experiment, options, network, backend, validates),
                        backend.info(), rank);
    };
    const std::int64_t wanted = compile.batch;
    const std::optional<Shortage> here = short_of(wanted);
    std::int64_t largest = 0;
    if (!here) {
        largest = wanted;
    } else {
        auto step = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(wanted)));
        for (; step > 0; step /= 2) {
            if (!short_of(largest + step)) {
                largest += step;
            }
        }
    }
    const std::int64_t everywhere = world.all_reduce_min(largest);
    world.agree([&] {
        if (here && largest == everywhere) {
            throw Error(
                ExitCode::configuration,
                text(experiment.blame("train.batch_size"), " is ", wanted, ", which needs about ",
                     bytes_text(here->needed), " per rank (", bytes_text(here->available),
                     " of the ", here->place, " are there) ",
                     largest > 0
                         ? text("the largest batch that fits",
                                world.size() > 1 ? " on every rank" : "", " is ", largest)
                         : std::string("use a smaller network or fewer ranks on this node")));
        }
    });
}

}  // namespace layerledger
