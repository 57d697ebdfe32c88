// The state of each repetition of an experiment, as a CSV file that is whole at any moment.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "layerledger/base/error.hpp"

namespace layerledger {

/// NaN and an empty status where a repetition has not got there.
struct Repetition {
    std::uint64_t seed = 0;
    std::string directory;           ///< within the experiment's
    std::string status = "waiting";  ///< waiting | running | complete | interrupted | failed
    ExitCode code = ExitCode::ok;
    double iteration_ms = std::numeric_limits<double>::quiet_NaN();
    double images_per_second = std::numeric_limits<double>::quiet_NaN();
    double validation_top1 = std::numeric_limits<double>::quiet_NaN();
    double seconds = std::numeric_limits<double>::quiet_NaN();
    std::string reason{};  ///< why it failed, in one line
};

/// The rows as text, numbered from 1. The exit code is empty until a repetition has ended.
[[nodiscard]] std::string index_text(const std::vector<Repetition>& repetitions);

/// What `index_text` wrote into the file. Throws Error{bad_data} where it did not.
[[nodiscard]] std::vector<Repetition> parse_index(const std::string& path,
                                                  const std::string& content);

/// Replaces the index at once. Throws Error{cannot_create} or Error{data_lost}.
void write_index(const std::string& path, const std::vector<Repetition>& repetitions);

/// For a rank that did not write the index, when the job is about to end: says "failed" of the
/// repetition, counted from 0, that the index calls running. Several ranks may do so at once. Never
/// throws.
void mark_repetition_failed(const std::string& path, const Repetition& repetition,
                            std::size_t number, const Error& error) noexcept;

}  // namespace layerledger
