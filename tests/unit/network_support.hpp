// What the tests of the network room share.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>

#include "layerledger/base/error.hpp"
#include "layerledger/network/network.hpp"

namespace layerledger::testing {

/// The operation of that name; throws where there is none.
inline const Op& op_named(const Network& network, std::string_view name) {
    const auto found = std::find_if(network.ops().begin(), network.ops().end(),
                                    [&](const Op& op) { return op.name == name; });
    if (found == network.ops().end()) {
        throw std::out_of_range(std::string(name));
    }
    return *found;
}

/// The parameter of that name; throws where there is none.
inline const Parameter& parameter_named(const Network& network, std::string_view name) {
    const std::span<const Parameter> all = network.parameters();
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Parameter& p) { return p.name == name; });
    if (found == all.end()) {
        throw std::out_of_range(std::string(name));
    }
    return *found;
}

/// Code and message of the Error that `call` throws; ok and nothing where it throws none.
struct Complaint {
    ExitCode code = ExitCode::ok;
    std::string message;
};

template <class Call>
Complaint complaint_of(Call call) {
    try {
        call();
    } catch (const Error& error) {
        return {error.code(), error.what()};
    }
    return {};
}

}  // namespace layerledger::testing
