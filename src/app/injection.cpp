#include "injection.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/phase.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

constexpr double most_percent = 10'000;

std::vector<std::string> parts_of(const std::string& words) {
    std::vector<std::string> parts(1);
    for (const char letter : words) {
        if (letter == ':') {
            parts.emplace_back();
        } else {
            parts.back() += letter;
        }
    }
    return parts;
}

template <class Number>
std::optional<Number> number_in(std::string_view word) {
    Number number{};
    const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), number);
    return failure == std::errc{} && end == word.data() + word.size() ? std::optional(number)
                                                                      : std::nullopt;
}

}  // namespace

std::optional<Injection> injection_on(int rank, int ranks, const Experiment& experiment,
                                      const Network& network, const DeviceInfo& device) {
    const std::string& asked = experiment.profile.inject;
    if (asked.empty()) {
        return {};
    }
    const auto require = [&](bool is_right, const std::string& why, const std::string& advice) {
        LL_VALIDATE(
            is_right, ExitCode::configuration,
            text(experiment.blame("profile.inject"), " is '", asked, "' (", why, ") ", advice));
    };
    const std::vector<std::string> parts = parts_of(asked);
    require(parts.size() == 3 || parts.size() == 4, "it has not three or four parts",
            "write RANK:LAYER:PERCENT, as in 1:conv2:5, or with :backward behind it");
    const auto of_rank = number_in<int>(parts[0]);
    require(of_rank && *of_rank >= 0 && *of_rank < ranks, text("there are ", ranks, " ranks"),
            text("use a rank from 0 to ", ranks - 1));
    const auto layers = network.layers();
    const auto layer = std::ranges::find(layers, parts[1], &Layer::name);
    std::vector<std::string> names;
    for (const Layer& one : layers) {
        names.push_back(one.name);
    }
    const std::string near = nearest(parts[1], names);
    require(layer != layers.end(), text(network.name(), " has no layer '", parts[1], "'"),
            near.empty() ? text("see layerledger networks ", network.name())
                         : text("did you mean ", near, "?"));
    const auto percent = number_in<double>(parts[2]);
    require(percent && *percent > 0 && *percent <= most_percent,
            "the third part is no percentage above 0", "write it as in 1:conv2:5");
    Injection injection{layer->id, *percent, {}};
    if (parts.size() == 4) {
        const auto phase = std::ranges::find(phase_names, parts[3]);
        require(phase != phase_names.end(), text("there is no phase '", parts[3], "'"),
                "use forward, backward or update");
        injection.phase = phases.at(static_cast<std::size_t>(phase - phase_names.begin()));
    }
    LL_VALIDATE(
        device.backend == "cpu", ExitCode::unavailable,
        text(experiment.blame("profile.inject"),
             " slows a layer on the host, which a device does not wait for (the backend is ",
             device.backend, ") use device.backend=cpu"));
    return *of_rank == rank ? std::optional(injection) : std::nullopt;
}

}  // namespace layerledger
