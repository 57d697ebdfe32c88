// MPI's beginning and end as one scope, and the only way to end a job from one rank.
#pragma once

#include <chrono>
#include <string>

#include "layerledger/base/error.hpp"
#include "layerledger/comm/communicator.hpp"

namespace layerledger {

/// Starts MPI with full thread support and errors returned to us. One per process, in main.
class MpiSession {
public:
    /// Where not all ranks have come together within `deadline`, those who miss one say whom and
    /// between which addresses, and the process ends with ExitCode::unavailable.
    MpiSession(int& argc, char**& argv, std::chrono::nanoseconds deadline = default_deadline);
    /// Where not all ranks come to it within the deadline, one says so, and the process ends with
    /// the code that was set: what it had to do is done.
    ~MpiSession();
    void set_exit_code(ExitCode code) noexcept { code_ = code; }
    MpiSession(const MpiSession&) = delete;
    MpiSession& operator=(const MpiSession&) = delete;

private:
    std::chrono::nanoseconds deadline_;
    ExitCode code_ = ExitCode::ok;
};

/// Ends every rank of the job with `code`. Works from any thread, without MPI too.
[[noreturn]] void abort_job(ExitCode code) noexcept;

/// "Open MPI v4.1.4 ..." in one line.
[[nodiscard]] std::string mpi_library_version();

}  // namespace layerledger
