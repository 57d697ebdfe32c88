#include "assignment.hpp"

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
    return experiment;
}

}  // namespace layerledger::config
