// Another program, run to its end: no shell, its output read as it comes, never left behind.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace layerledger {

struct ChildCommand {
    std::vector<std::string> words;        ///< the program, found on PATH, and its arguments
    std::vector<std::string> environment;  ///< NAME=VALUE, over this process's own
    std::string input;                     ///< for its standard input
    std::vector<int> kept_open;            ///< file descriptors that it inherits
};

struct ChildWatch {
    std::function<void(std::string_view)> output;  ///< each piece of standard output, as it comes
    std::function<void(std::string_view)> errors;  ///< the same of standard error
    std::function<bool()> stop;                    ///< asked ten times a second: end it now?
    std::chrono::nanoseconds silence{};            ///< longest time without a byte from it
};

struct ChildEnd {
    enum class Cause : unsigned char { exited, killed, silent, stopped };
    Cause cause = Cause::exited;
    int code = 0;  ///< exit status, or number of the signal that killed it
};

/// Runs the program and returns how it ended. Where it falls silent, or on request, it gets SIGTERM
/// and, should that not help, SIGKILL. Throws std::system_error where it cannot be started.
[[nodiscard]] ChildEnd run_child(const ChildCommand& command, const ChildWatch& watch);

}  // namespace layerledger
