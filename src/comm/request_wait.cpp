#include "request_wait.hpp"

#include <algorithm>
#include <thread>

#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/base/waited.hpp"
#include "mpi_check.hpp"

namespace layerledger {

using namespace std::chrono_literals;

void nap(std::chrono::nanoseconds waited, std::chrono::nanoseconds spinning) {
    if (waited < spinning) {
        std::this_thread::yield();
    } else {
        std::this_thread::sleep_for(std::clamp<std::chrono::nanoseconds>(waited / 20, 5us, 200us));
    }
}

void wait_for(MPI_Request& request, std::chrono::nanoseconds deadline, const std::string& what,
              std::chrono::nanoseconds spinning) {
    wait_for(
        request, deadline, [&what] { return what; }, spinning);
}

void wait_for(MPI_Request& request, std::chrono::nanoseconds deadline, const NameOfWait& what,
              std::chrono::nanoseconds spinning) {
    Waited since_beginning;
    for (;;) {
        int done = 0;
        LL_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
        if (done != 0) {
            return;
        }
        const std::chrono::nanoseconds waited = since_beginning.look();
        if (waited > deadline) {
            throw DeadlineError(
                ExitCode::internal,
                text("waited ", duration_text(std::chrono::duration<double>(waited).count()),
                     " for ", what(),
                     " (a rank hangs or its node is cut off) look at the log of the "
                     "rank that is missing"));
        }
        nap(waited, spinning);
    }
}

}  // namespace layerledger
