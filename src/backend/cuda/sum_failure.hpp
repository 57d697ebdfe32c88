// Why sums between ranks ended in failure: found on one thread, thrown on another.
#pragma once

#include <chrono>
#include <string>

#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {

/// A fault that a library reports of its own accord.
struct ReportedFault {
    std::string reason;          ///< empty: there is none
    bool of_other_rank = false;  ///< a rank that this one is connected to is gone
};

struct SumFailure {
    std::string message;
    bool waited_in_vain = false;  ///< for a rank that hangs or is lost

    /// As DeadlineError where other ranks are missing, so that whoever catches it asks which.
    [[noreturn]] void raise() const {
        if (waited_in_vain) {
            throw DeadlineError(ExitCode::internal, message);
        }
        throw Error(ExitCode::internal, message);
    }
};

/// `who` waited for the sum `what` until the deadline.
[[nodiscard]] inline SumFailure sum_is_late(const std::string& who, const std::string& what,
                                            std::chrono::nanoseconds deadline) {
    return {text(who, ": ", what, " did not end within ",
                 duration_text(std::chrono::duration<double>(deadline).count()),
                 " (a rank hangs, or its node was lost) look at the log of the other ranks"),
            true};
}

[[nodiscard]] inline SumFailure sum_is_broken(const std::string& who, const std::string& what,
                                              const ReportedFault& fault) {
    return {text(who, ": ", what, " failed (NCCL: ", fault.reason,
                 ") look at the log of the other ranks"),
            fault.of_other_rank};
}

}  // namespace layerledger::cuda
