#include "layerledger/config/experiment.hpp"

#include <algorithm>

#include "ini.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "setting_table.hpp"

namespace layerledger {

void Experiment::set(const std::string& key, const std::string& value, const std::string& origin) {
    const config::Setting* const setting = config::find_setting(key);
    LL_VALIDATE(setting != nullptr && setting->assign(*this, value), ExitCode::internal,
                text("cannot set ", key, " to '", value, "' (", origin, ")"));
    for (SettingText& known : settings) {
        if (known.key == key) {
            known = {key, setting->show(*this), origin};
        }
    }
}

std::string Experiment::to_ini() const {
    std::string ini;
    std::string_view section;
    for (const config::Setting& setting : config::setting_table()) {
        if (setting.section() != section) {
            ini += text(section.empty() ? "" : "\n", "[", setting.section(), "]\n");
            section = setting.section();
        }
        const std::string value = config::ini_value(setting.show(*this));
        ini += text(setting.name(), value.empty() ? " =" : " = ", value, "\n");
    }
    return ini;
}

std::string Experiment::origin_of(const std::string& key) const {
    const auto found = std::find_if(settings.begin(), settings.end(),
                                    [&](const SettingText& setting) { return setting.key == key; });
    return found == settings.end() ? "default" : found->origin;
}

std::string Experiment::blame(const std::string& key) const {
    return text(key, " (", origin_of(key), ")");
}

}  // namespace layerledger
