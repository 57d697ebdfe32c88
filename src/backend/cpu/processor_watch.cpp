#include "processor_watch.hpp"

#if __has_include(<sys/rseq.h>)  // glibc from 2.35 on

#include <sys/resource.h>
#include <sys/rseq.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace layerledger::cpu {
namespace {

// The kernel wants its signature in front of the address to continue at, which lies behind the
// one byte of the sequence.
alignas(8) constexpr std::array<std::uint32_t, 3> no_code{0, RSEQ_SIG, 0};

std::uint64_t address(const void* object) {
    return reinterpret_cast<std::uintptr_t>(object);
}

std::uint64_t nowhere() {
    static const rseq_cs sequence{.version = 0,
                                  .flags = 0,
                                  .start_ip = address(no_code.data()),
                                  .post_commit_offset = 1,
                                  .abort_ip = address(&no_code[2])};
    return address(&sequence);
}

// rseq_cs of the calling thread's area; the kernel writes it between two instructions.
std::atomic_ref<std::uint64_t> current_sequence() {
    auto* area = static_cast<std::byte*>(__builtin_thread_pointer()) + __rseq_offset;
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(area + offsetof(rseq, rseq_cs)));
}

long count_preemptions() noexcept {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

}  // namespace

ProcessorWatch::ProcessorWatch() noexcept {
    static_cast<void>(lost());
}

bool ProcessorWatch::lost() noexcept {
    if (__rseq_size == 0) {  // switched off
        return false;
    }
    const std::uint64_t armed = nowhere();
    const std::atomic_ref<std::uint64_t> sequence = current_sequence();
    if (sequence.load(std::memory_order_relaxed) == armed) {
        return false;
    }
    // Armed before counting, so that no preemption falls between the two.
    sequence.store(armed, std::memory_order_relaxed);
    const long before = preemptions_;
    preemptions_ = count_preemptions();
    return preemptions_ > before;
}

}  // namespace layerledger::cpu

#else

namespace layerledger::cpu {

ProcessorWatch::ProcessorWatch() noexcept = default;

bool ProcessorWatch::lost() noexcept {
    return preemptions_ > 0;
}

}  // namespace layerledger::cpu

#endif
