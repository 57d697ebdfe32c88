// Where and how a run was made: what /provenance in the run file holds.
#pragma once

#include <string>
#include <vector>

#include "layerledger/record/run_description.hpp"

namespace layerledger {

/// Names after Adiak's where it has one (user, launchdate, cmdline, hostlist, jobsize). Of the
/// environment only variables of known prefixes are kept: the rest may hold secrets.
[[nodiscard]] std::vector<Fact> provenance(const std::string& command_line,
                                           const std::vector<std::string>& hosts);

/// The part of it that is about the program and its libraries.
[[nodiscard]] std::vector<Fact> versions();
/// Of what computes on GPUs: "cuda", "cudnn", ...
[[nodiscard]] std::vector<Fact> gpu_library_versions();

/// This start, except where it begins.
[[nodiscard]] StartRecord describe_start(const std::string& command_line,
                                         const std::vector<std::string>& hosts);

/// A random UUID (version 4).
[[nodiscard]] std::string new_run_id();

/// Now, as ISO 8601 in UTC: "2026-11-24T03:16:23Z".
[[nodiscard]] std::string utc_now();

}  // namespace layerledger
