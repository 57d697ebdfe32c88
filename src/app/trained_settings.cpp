#include "trained_settings.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

/// Together they say where the images are: half of them from elsewhere would be another place.
constexpr std::array<std::string_view, 6> whereabouts{
    "data.source", "data.root", "data.file", "data.remote", "data.val_labels", "data.class_names"};

bool is_whereabouts(const std::string& key) {
    return std::ranges::find(whereabouts, key) != whereabouts.end();
}

bool is_given(const SettingText& setting) {
    return setting.origin != "default";
}

bool is_given(const Experiment& experiment, const std::string& key) {
    return experiment.origin_of(key) != "default";
}

/// Whether the images are elsewhere than where the network was trained. What they are called and
/// how they are labelled names no place.
bool names_a_place(const Experiment& given, const std::vector<SettingText>& trained) {
    const auto is_other_source = [&](const SettingText& setting) {
        return setting.key == "data.source" && is_given(setting) &&
               std::ranges::none_of(trained, [&](const SettingText& there) {
                   return there.key == setting.key && there.value == setting.value;
               });
    };
    return is_given(given, "data.root") || is_given(given, "data.file") ||
           is_given(given, "data.remote") || std::ranges::any_of(given.settings, is_other_source);
}

/// A folder or a packed file alone says which source is meant.
void choose_source(Experiment& given) {
    const bool is_folder = is_given(given, "data.root");
    if (!is_given(given, "data.source") && is_folder != is_given(given, "data.file")) {
        given.set("data.source", is_folder ? "folder" : "packed",
                  is_folder ? "because of data.root" : "because of data.file");
    }
}

/// Of two values that differ in their text: "as many as the data has" and "as the architecture has
/// it" may still be what the other says. The network that comes of them tells.
bool may_be_the_same(const std::string& one, const std::string& other) {
    const auto leaves_open = [](const std::string& value) {
        return value == "0" || value == "default";
    };
    return leaves_open(one) || leaves_open(other);
}

Experiment settings_of(const Checkpoint& checkpoint, const std::string& path) {
    try {
        return parse_ini(checkpoint.config_text);
    } catch (const Error& error) {
        throw Error(ExitCode::bad_data,
                    text("'", path, "' was written by a version with other settings (",
                         error.what(), ") use that version"));
    }
}

}  // namespace

std::string network_differences(const Experiment& experiment, const Checkpoint& checkpoint) {
    const std::vector<SettingText> trained = parse_ini(checkpoint.config_text).settings;
    std::string all;
    for (const SettingText& here : experiment.settings) {
        const auto there = std::ranges::find(trained, here.key, &SettingText::key);
        if (here.key.starts_with("network.") && is_given(here) && there != trained.end() &&
            there->value != here.value) {
            all += text(all.empty() ? "" : ", ", here.key, " (", there->value, " there, ",
                        here.value, " here, from ", here.origin, ")");
        }
    }
    return all;
}

Experiment with_trained_settings(Experiment given, const Checkpoint& checkpoint,
                                 const std::string& path) {
    const std::vector<SettingText> trained = settings_of(checkpoint, path).settings;
    const bool is_elsewhere = names_a_place(given, trained);
    if (is_elsewhere) {
        choose_source(given);
    }
    const std::vector<SettingText> before = given.settings;
    for (const SettingText& here : before) {
        const bool is_network = here.key.starts_with("network.");
        if (!is_network && !here.key.starts_with("data.") && !here.key.starts_with("train.")) {
            continue;
        }
        const auto there = std::ranges::find(trained, here.key, &SettingText::key);
        if (there == trained.end() || (is_whereabouts(here.key) && is_elsewhere)) {
            continue;
        }
        if (!is_given(here)) {
            given.set(here.key, there->value, text("checkpoint '", path, "'"));
        } else {
            LL_VALIDATE(
                !is_network || there->value == here.value ||
                    may_be_the_same(there->value, here.value),
                ExitCode::configuration,
                text("'", path, "' is of another network: ", network_differences(given, checkpoint),
                     "; leave out what the checkpoint knows, or give another one"));
        }
    }
    return given;
}

}  // namespace layerledger
