#include "setting_differences.hpp"

#include <algorithm>

#include "layerledger/base/text.hpp"

namespace layerledger {

std::string setting_differences(std::span<const Fact> there, const Experiment& here,
                                bool (*may_differ)(const std::string& key)) {
    const auto shown = [](const std::string& value) { return value.empty() ? "empty" : value; };
    std::string all;
    for (const SettingText& setting : here.settings) {
        const auto found = std::ranges::find(there, setting.key, &Fact::first);
        if (found != there.end() && found->second != setting.value && !may_differ(setting.key)) {
            all += text(all.empty() ? "" : ", ", setting.key, " (", shown(found->second),
                        " there, ", shown(setting.value), " here)");
        }
    }
    return all;
}

}  // namespace layerledger
