// Settings that are each fine and cannot be together.
#include <algorithm>
#include <tuple>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/config/experiment.hpp"

namespace layerledger {

void require_consistent(const Experiment& experiment) {
    LL_VALIDATE(
        experiment.data.source != DataSource::folder || !experiment.data.root.empty(),
        ExitCode::configuration,
        text("data.root is not set, but data.source is folder (",
             experiment.origin_of("data.source"), "); give the folder that holds train/ and val/"));
    const bool is_source_chosen = experiment.origin_of("data.source") != "default";
    for (const auto& [key, value, source] :
         {std::tuple{"data.root", &experiment.data.root, "folder"},
          std::tuple{"data.file", &experiment.data.file, "packed"}}) {
        LL_VALIDATE(
            is_source_chosen || value->empty(), ExitCode::configuration,
            text(key, " is set (", experiment.origin_of(key),
                 "), but data.source is not, and is synthetic then; set data.source = ", source));
    }
    LL_VALIDATE(
        !experiment.profile.twin || experiment.profile.level != "off", ExitCode::configuration,
        text(experiment.blame("profile.twin"), " is true, but ", experiment.blame("profile.level"),
             " is off: the twin would be the same; choose a level"));
    LL_VALIDATE(experiment.data.source == DataSource::folder || experiment.data.remote.empty(),
                ExitCode::configuration,
                text("data.remote is set, but data.source is not folder (",
                     experiment.origin_of("data.remote"),
                     "); set data.source = folder, or unset data.remote"));
}

}  // namespace layerledger
