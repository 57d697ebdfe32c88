// Waiting for a request of MPI, with a deadline.
#pragma once

#include <mpi.h>

#include <chrono>
#include <memory>
#include <string>

#include "layerledger/comm/communicator.hpp"

namespace layerledger {

/// How long a wait is polled without naps. Ranks that have met answer within the longer one, and a
/// nap between the steps of a message would cost more than the message.
inline constexpr std::chrono::nanoseconds spin{std::chrono::microseconds(20)};
inline constexpr std::chrono::nanoseconds spin_after_meeting{std::chrono::milliseconds(1)};

inline constexpr const char* the_others = "the other ranks";

/// Between two looks at something that is waited for: short waits are polled, longer ones give the
/// core to whoever computes, and wake up within a twentieth of the time already waited.
void nap(std::chrono::nanoseconds waited, std::chrono::nanoseconds spinning);

/// Polls until a request is done, with naps between once that takes long. Throws Error{internal}
/// after `deadline`: then MPI may still write into what the request works on.
void wait_for(MPI_Request& request, std::chrono::nanoseconds deadline, const std::string& what,
              std::chrono::nanoseconds spinning = spin);
/// The same where a name is made only once it is needed.
void wait_for(MPI_Request& request, std::chrono::nanoseconds deadline, const NameOfWait& what,
              std::chrono::nanoseconds spinning = spin);

/// Waits for a request that works on `memory`, which is left to MPI if that fails.
template <class Memory>
void wait_for(MPI_Request& request, std::unique_ptr<Memory>& memory,
              std::chrono::nanoseconds deadline, const std::string& what,
              std::chrono::nanoseconds spinning = spin) {
    try {
        wait_for(request, deadline, what, spinning);
    } catch (...) {
        static_cast<void>(memory.release());
        throw;
    }
}

}  // namespace layerledger
