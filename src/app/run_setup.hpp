// From settings to the objects of a run.
#pragma once

#include <memory>
#include <string>

#include "layerledger/comm/communicator.hpp"
#include "layerledger/comm/rank_map.hpp"
#include "layerledger/config/experiment.hpp"
#include "layerledger/data/batch_source.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/device/collective.hpp"
#include "layerledger/network/network.hpp"
#include "layerledger/train/trainer.hpp"

namespace layerledger {

/// The images of a folder or a packed file: scanned once, on rank 0. Empty for synthetic ones.
/// Collective; throws AgreedError, bad_data also where the nodes have different packed files.
[[nodiscard]] ImageIndex find_images(const Communicator& world, const RankMap& rank,
                                     const DataSettings& settings);

/// Why there are no images to validate on, where index.val is empty.
[[nodiscard]] std::string why_no_validation(const DataSettings& settings);

/// The network with as many classes as the settings or the data have.
[[nodiscard]] Network choose_network(const Experiment& experiment, const ImageIndex& images);

/// What to compute on, cuda or cpu; the same on all ranks. Collective: `auto` takes GPUs where
/// every rank can. Throws AgreedError{unavailable} where cuda is asked for and a rank cannot.
[[nodiscard]] BackendChoice choose_device(const Communicator& world, const Experiment& experiment);
/// Why this rank has no GPU; empty where it has one.
[[nodiscard]] std::string why_no_gpu();

/// Refuses what this build or this machine does not have.
void require_available(const Experiment& experiment, BackendChoice device);

/// The one place that names concrete backends. `world` outlives the backend. Collective; throws
/// AgreedError.
[[nodiscard]] std::unique_ptr<Backend> choose_backend(const Experiment& experiment,
                                                      BackendChoice device, const RankMap& rank,
                                                      const Communicator& world);
/// Collective.
[[nodiscard]] std::unique_ptr<Collective> choose_collective(const Experiment& experiment,
                                                            Backend& backend, const RankMap& rank,
                                                            const Communicator& world);

[[nodiscard]] std::unique_ptr<BatchSource> choose_source(const Experiment& experiment,
                                                         const ImageIndex& images,
                                                         const Network& network,
                                                         const Communicator& world);

/// `iterations_per_epoch` is 0 where there are no epochs.
[[nodiscard]] TrainerOptions trainer_options(const Experiment& experiment, const Network& network,
                                             std::int64_t iterations_per_epoch,
                                             const Communicator& world);

/// How the network is made ready on a rank.
[[nodiscard]] CompileOptions compile_options(const Experiment& experiment, std::int64_t classes,
                                             int rank);
/// State vectors that the optimizer keeps for each parameter.
[[nodiscard]] std::size_t optimizer_states(const Experiment& experiment);

}  // namespace layerledger
