#include "layerledger/comm/mpi_session.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <mutex>
#include <thread>

#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/base/waited.hpp"
#include "layerledger/comm/rank_map.hpp"
#include "mpi_check.hpp"
#include "rendezvous.hpp"

namespace layerledger {
namespace detail {

void throw_mpi_error(int status, const char* expression, Place place) {
    std::array<char, MPI_MAX_ERROR_STRING> reason{};
    int length = 0;
    MPI_Error_string(status, reason.data(), &length);
    throw Error(ExitCode::internal, LibraryCall{"MPI", status, expression},
                std::string_view(reason.data(), static_cast<std::size_t>(length)), place);
}

}  // namespace detail

namespace {

// A rank that takes part in no communication still has to let others of its core run: ranks often
// outnumber cores on the machines where people try things.
void yield_when_idle() {
    setenv("OMPI_MCA_mpi_yield_when_idle", "1", /*overwrite=*/0);
}

/// Where the launcher cannot be reached, MPI_Abort may not come back.
void end_without_mpi(ExitCode code) noexcept {
    static constexpr std::chrono::seconds patience{10};
    try {
        std::thread([code] {
            std::this_thread::sleep_for(patience);
            std::_Exit(static_cast<int>(code));
        }).detach();
    } catch (const std::exception&) {
        // Without a thread to spare there is only MPI_Abort.
    }
}

/// MPI's end, for which all ranks meet once more, has no deadline of its own.
class EndWithin {
public:
    EndWithin(std::chrono::nanoseconds deadline, int rank, ExitCode code)
        : thread_([this, deadline, rank, code] {
              constexpr std::chrono::milliseconds turn{250};
              constexpr int turns = 20;  // the lowest rank's end is heard of before the last
              const std::chrono::nanoseconds limit = deadline + std::min(rank, turns) * turn;
              Waited waited;
              std::unique_lock lock(mutex_);
              while (!ended_.wait_for(lock, turn, [this] { return is_over_; })) {
                  if (waited.look() > limit) {
                      log::error(
                          text("rank ", rank, " on ", node_name(),
                               ": not all ranks came to MPI's end within ",
                               duration_text(std::chrono::duration<double>(deadline).count()),
                               " (one hangs or is cut off) the work is done"));
                      std::cout.flush();
                      std::_Exit(static_cast<int>(code));
                  }
              }
          }) {}
    EndWithin(const EndWithin&) = delete;
    EndWithin& operator=(const EndWithin&) = delete;
    ~EndWithin() {
        {
            const std::lock_guard lock(mutex_);
            is_over_ = true;
        }
        ended_.notify_all();
        thread_.join();
    }

private:
    std::mutex mutex_;
    std::condition_variable ended_;
    bool is_over_ = false;
    std::thread thread_;  // last: it uses all of the above
};

}  // namespace

MpiSession::MpiSession(int& argc, char**& argv, std::chrono::nanoseconds deadline)
    : deadline_(deadline) {
    yield_when_idle();
    Rendezvous rendezvous(deadline);
    int provided = MPI_THREAD_SINGLE;
    LL_MPI(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided));
    LL_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    if (provided < MPI_THREAD_MULTIPLE) {
        throw Error(ExitCode::unavailable,
                    "this MPI library does not let several threads communicate (it was built "
                    "without MPI_THREAD_MULTIPLE) use one that does, such as Open MPI 4");
    }
    rendezvous.meet();
}

MpiSession::~MpiSession() {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    const EndWithin limit(deadline_, rank, code_);
    if (MPI_Finalize() != MPI_SUCCESS) {
        log::error("MPI_Finalize failed");
    }
}

void abort_job(ExitCode code) noexcept {
    int initialized = 0;
    int finalized = 0;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (initialized != 0 && finalized == 0) {
        end_without_mpi(code);
        MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
    }
    std::_Exit(static_cast<int>(code));
}

std::string mpi_library_version() {
    std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> version{};
    int length = 0;
    LL_MPI(MPI_Get_library_version(version.data(), &length));
    const std::string_view whole(version.data(), static_cast<std::size_t>(length));
    return std::string(whole.substr(0, whole.find_first_of(",\n")));
}

}  // namespace layerledger
