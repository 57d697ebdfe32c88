// The one declaration of every setting. Options, help, INI text, validation, environment names and
// the search for the nearest key all read this table.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "layerledger/config/experiment.hpp"

namespace layerledger::config {

struct Setting {
    std::string key;    ///< "train.batch_size"
    std::string help;   ///< one line
    std::string takes;  ///< what its values are, for messages
    std::string words;  ///< "a | b" where its values are some fixed words, else empty
    bool is_flag = false;
    /// Sets the member from text; false, and the member as it was, where the text will not do.
    std::function<bool(Experiment&, const std::string&)> assign;
    std::function<std::string(const Experiment&)> show;

    [[nodiscard]] std::string_view section() const;
    [[nodiscard]] std::string_view name() const;
};

/// All settings, section by section.
[[nodiscard]] const std::vector<Setting>& setting_table();

/// Null where there is no such key.
[[nodiscard]] const Setting* find_setting(std::string_view key);

/// The key that `word` was probably meant to be, or empty. Also finds a key by its bare name or in
/// the wrong section.
[[nodiscard]] std::string nearest_key(const std::string& word);

}  // namespace layerledger::config
