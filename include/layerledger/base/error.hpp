// The one error type of the program, and the exit codes that it carries to the shell.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace layerledger {

/// What the process returns to the shell (after sysexits.h).
enum class ExitCode : int {
    ok = 0,
    usage = 64,          ///< the command line makes no sense
    bad_data = 65,       ///< an input file is there but wrong
    input_missing = 66,  ///< an input file or folder is not there
    unavailable = 69,    ///< no such device, backend or precision here
    internal = 70,       ///< a defect of layerledger or of a library
    cannot_create = 73,  ///< the output cannot be created
    data_lost = 74,      ///< training ended, but recorded data could not be written
    interrupted = 75,    ///< stopped on request after saving; start it again
    configuration = 78,  ///< a setting or the value of an option is wrong or unknown
};

/// A line of our own source. (Clang 14 has no Place.)
struct Place {
    const char* file = "";
    int line = 0;

    /// As a default argument: the line of the caller.
    [[nodiscard]] static constexpr Place here(const char* file = __builtin_FILE(),
                                              int line = __builtin_LINE()) noexcept {
        return {file, line};
    }
};

/// A failed call into a library: which library, which call, what it returned.
struct LibraryCall {
    std::string_view library;     ///< "MPI", "HDF5", "oneDNN", ...
    int status = 0;               ///< the library's own code
    std::string_view expression;  ///< source text of the call
};

/// Every failure in layerledger. `what()` reads "problem (why) suggestion".
class Error : public std::runtime_error {
public:
    Error(ExitCode code, const std::string& message, Place place = Place::here());

    /// A library refused a call; the text names library, status, call and place.
    Error(ExitCode code, LibraryCall call, std::string_view reason, Place place = Place::here());

    [[nodiscard]] ExitCode code() const noexcept { return code_; }
    [[nodiscard]] const Place& place() const noexcept { return place_; }
    /// The message or, of a failed call, what the library said of it.
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

private:
    ExitCode code_;
    Place place_;
    std::string reason_;
};

/// A wait for other ranks that came to its deadline, or was in vain since one of them is gone.
class DeadlineError : public Error {
public:
    using Error::Error;
};

}  // namespace layerledger
