#include "setting_differences.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

constexpr std::array harmless_to_all{"output.",
                                     "data.remote",
                                     "data.remote_timeout_seconds",
                                     "data.ssh_options",
                                     "train.checkpoint_keep",
                                     "train.resume",
                                     "train.resume_mismatch",
                                     "sync.timeout_seconds",
                                     "sync.rendezvous_seconds"};
/// Compared apart, or they change how a run goes and not what it trains.
constexpr std::array harmless_to_resumed{
    "experiment.",        "profile.",       "device.",
    "data.root",          "data.workers",   "train.checkpoint_every",
    "train.digest_every", "train.validate", "train.validate_every"};

/// Of a whole section where the name ends in a point.
template <std::size_t N>
bool is_among(const std::string& key, const std::array<const char*, N>& names) {
    return std::ranges::any_of(names, [&](std::string_view name) {
        return name.ends_with('.') ? key.starts_with(name) : key == name;
    });
}

bool may_differ(const std::string& key, Trainings trainings) {
    return is_among(key, harmless_to_all) ||
           (trainings == Trainings::resumed && is_among(key, harmless_to_resumed));
}

}  // namespace

std::string setting_differences(std::span<const Fact> there, const Experiment& here,
                                Trainings trainings) {
    const auto shown = [](const std::string& value) { return value.empty() ? "empty" : value; };
    std::string all;
    for (const SettingText& setting : here.settings) {
        const auto found = std::ranges::find(there, setting.key, &Fact::first);
        if (found != there.end() && found->second != setting.value &&
            !may_differ(setting.key, trainings)) {
            all += text(all.empty() ? "" : ", ", setting.key, " (", shown(found->second),
                        " there, ", shown(setting.value), " here)");
        }
    }
    return all;
}

}  // namespace layerledger
