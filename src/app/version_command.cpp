#include "version_command.hpp"

#include <array>
#include <utility>
#include <vector>

#include "build_facts.hpp"
#include "layerledger/backend/cuda.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/comm/mpi_session.hpp"
#include "layerledger/config/experiment.hpp"

namespace layerledger {

std::string version_text() {
    const std::array<std::pair<std::string, std::string>, 9> facts{{
        {"layerledger", build_facts::version},
        {"git", build_facts::git},
        {"build type", build_facts::build_type},
        {"compiler", build_facts::compiler},
        {"MPI", mpi_library_version()},
        {"oneDNN", build_facts::onednn},
        {"HDF5", build_facts::hdf5},
        {"Boost", boost_version()},
        {"libjpeg-turbo", build_facts::libjpeg_turbo},
    }};
    std::string table;
    std::vector<std::pair<std::string, std::string>> all(facts.begin(), facts.end());
    const auto of_gpus = cuda::library_versions();
    all.insert(all.end(), of_gpus.begin(), of_gpus.end());
    for (const auto& [name, version] : all) {
        table += text(name, std::string(15 - name.size(), ' '), version, "\n");
    }
    return table;
}

}  // namespace layerledger
