// Whether a thread lost its processor, at the price of one load.
#pragma once

namespace layerledger::cpu {

/// Watches the thread that made it, by the area that the kernel keeps up to date for restartable
/// sequences (rseq(2); struct rseq in <linux/rseq.h>): whenever the thread goes on after it was
/// preempted, the kernel clears the area's rseq_cs unless the thread was inside the sequence named
/// there. Here that sequence is no code at all.
///
/// The kernel clears it after a signal, its own housekeeping or a sleep too, so once cleared, the
/// thread's count of involuntary context switches (getrusage(2)) decides.
class ProcessorWatch {
public:
    ProcessorWatch() noexcept;

    /// Whether the thread was preempted since the previous call. Never without the C library's
    /// rseq.
    [[nodiscard]] bool lost() noexcept;

private:
    long preemptions_ = 0;
};

}  // namespace layerledger::cpu
