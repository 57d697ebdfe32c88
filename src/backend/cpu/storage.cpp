#include "storage.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "layerledger/base/error.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cpu {
namespace {

constexpr std::size_t cache_line = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;

constexpr std::size_t rounded_up(std::size_t value, std::size_t unit) {
    return (value + unit - 1) / unit * unit;
}

// Pieces large enough to be worth a thread, on page boundaries.
template <class Work>
void for_each_piece(std::size_t bytes, const Work& work) {
    constexpr std::size_t piece = std::size_t{1} << 20;
    const auto pieces = static_cast<std::int64_t>((bytes + piece - 1) / piece);
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < pieces; ++i) {
        const std::size_t begin = static_cast<std::size_t>(i) * piece;
        work(begin, std::min(piece, bytes - begin));
    }
}

}  // namespace

void FreeMemory::operator()(std::byte* address) const noexcept {
    std::free(address);
}

Storage allocate_storage(std::size_t bytes) {
    const std::size_t alignment = bytes >= 2 * huge_page ? huge_page : cache_line;
    const std::size_t size = rounded_up(std::max(bytes, cache_line), alignment);
    Storage storage(static_cast<std::byte*>(std::aligned_alloc(alignment, size)));
    if (!storage) {
        throw Error(ExitCode::unavailable,
                    text("cannot allocate ", bytes_text(static_cast<double>(bytes)),
                         " of host memory (out of memory) use a smaller train.batch_size"));
    }
    if (alignment == huge_page) {
        // Advice only: without huge pages everything works, a little slower. The tail, which would
        // not fill one, stays in small pages.
        static_cast<void>(madvise(storage.get(), bytes / huge_page * huge_page, MADV_HUGEPAGE));
    }
    // All threads touch it first, so that pages lie near the cores of this rank.
    for_each_piece(bytes, [&](std::size_t begin, std::size_t count) {
        std::memset(storage.get() + begin, 0, count);
    });
    return storage;
}

void copy_parallel(void* to, const void* from, std::size_t bytes) {
    for_each_piece(bytes, [&](std::size_t begin, std::size_t count) {
        std::memcpy(static_cast<std::byte*>(to) + begin,
                    static_cast<const std::byte*>(from) + begin, count);
    });
}

}  // namespace layerledger::cpu
