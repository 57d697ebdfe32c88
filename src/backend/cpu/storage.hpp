// Host memory as the kernels like it: zeroed, aligned, in huge pages where it is large.
#pragma once

#include <cstddef>
#include <memory>

namespace layerledger::cpu {

struct FreeMemory {
    void operator()(std::byte* address) const noexcept;
};

using Storage = std::unique_ptr<std::byte[], FreeMemory>;

/// `bytes` zero bytes on a cache line's boundary; from 4 MiB on a huge page's boundary.
/// Throws Error{unavailable} when the memory is not there.
[[nodiscard]] Storage allocate_storage(std::size_t bytes);

/// memcpy by all threads.
void copy_parallel(void* to, const void* from, std::size_t bytes);

}  // namespace layerledger::cpu
