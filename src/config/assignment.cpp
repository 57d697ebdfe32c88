#include "assignment.hpp"

#include <tuple>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "setting_table.hpp"

namespace layerledger::config {

void refuse_unknown(const std::string& name, const std::string& origin,
                    const std::string& suggestion) {
    throw Error(ExitCode::configuration,
                text("unknown setting '", name, "' (", origin, "); ",
                     suggestion.empty() ? "see 'layerledger train --help'"
                                        : text("did you mean '", suggestion, "'?")));
}

Experiment resolve(const std::vector<Assignment>& assignments) {
    const std::vector<Setting>& table = setting_table();
    Experiment experiment;
    std::vector<std::string> origins(table.size(), "default");
    for (const auto& [key, value, origin] : assignments) {
        const Setting* setting = find_setting(key);
        if (setting == nullptr) {
            refuse_unknown(key, origin, nearest_key(key));
        }
        LL_VALIDATE(
            setting->assign(experiment, value), ExitCode::configuration,
            text(key, " cannot be '", value, "' (", origin, "); it takes ", setting->takes));
        origins[static_cast<std::size_t>(setting - table.data())] = origin;
    }
    for (std::size_t i = 0; i < table.size(); ++i) {
        experiment.settings.push_back({table[i].key, table[i].show(experiment), origins[i]});
    }
    const auto origin_of = [&](const char* key) {
        return origins[static_cast<std::size_t>(find_setting(key) - table.data())];
    };
    LL_VALIDATE(experiment.data.source != DataSource::folder || !experiment.data.root.empty(),
                ExitCode::configuration,
                text("data.root is not set, but data.source is folder (", origin_of("data.source"),
                     "); give the folder that holds train/ and val/"));
    const bool is_source_chosen = origin_of("data.source") != "default";
    for (const auto& [key, value, source] :
         {std::tuple{"data.root", &experiment.data.root, "folder"},
          std::tuple{"data.file", &experiment.data.file, "packed"}}) {
        LL_VALIDATE(is_source_chosen || value->empty(), ExitCode::configuration,
                    text(key, " is set (", origin_of(key),
                         "), but data.source is not, and is synthetic then; set data.source = ",
                         source));
    }
    LL_VALIDATE(
        !experiment.profile.twin || experiment.profile.level != "off", ExitCode::configuration,
        text(experiment.blame("profile.twin"), " is true, but ", experiment.blame("profile.level"),
             " is off: the twin would be the same; choose a level"));
    LL_VALIDATE(
        experiment.data.source == DataSource::folder || experiment.data.remote.empty(),
        ExitCode::configuration,
        text("data.remote is set, but data.source is not folder (", origin_of("data.remote"),
             "); set data.source = folder, or unset data.remote"));
    return experiment;
}

}  // namespace layerledger::config
