// The subcommands by name, and what they have in common.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace layerledger {

struct Subcommand {
    std::string name;
    std::string arguments;  ///< "RUN.h5"
    std::string purpose;    ///< one line
    std::string details;    ///< lines that its help adds
};

[[nodiscard]] std::span<const Subcommand> subcommands();

/// The subcommand of that name; throws Error{usage}, with the nearest name, where there is none.
[[nodiscard]] const Subcommand& find_subcommand(const std::string& name);

/// What `layerledger help` prints.
[[nodiscard]] std::string overview();

/// "usage: layerledger summary RUN.h5" and the purpose.
[[nodiscard]] std::string usage(const Subcommand& subcommand);

/// True where one of the arguments asks for help.
[[nodiscard]] bool wants_help(const std::vector<std::string>& arguments);

/// The single argument of a subcommand that takes one file; throws Error{usage} for none, for more
/// and for options.
[[nodiscard]] std::string only_file(const Subcommand& subcommand,
                                    const std::vector<std::string>& arguments);

/// `message` on one line, whatever a file name or a value brought into it.
[[nodiscard]] std::string one_line(std::string message);

}  // namespace layerledger
