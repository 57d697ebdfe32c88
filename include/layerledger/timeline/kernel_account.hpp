// What the device did inside the layers of one iteration, from a record of each of its kernels and
// copies: how much of a layer's time something ran, and how far the marks' times can be trusted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "layerledger/timeline/ledger.hpp"

namespace layerledger {

/// What a device was seen to do.
enum class DeviceWork : unsigned char {
    kernel,         ///< of a layer
    communication,  ///< a kernel of the all-reduce
    anchor,         ///< a kernel that a mark follows at once
    fill,           ///< memory was set
    copy_h2d,
    copy_d2h,
    copy_d2d,
};

/// One piece of it, on a clock of the observer's own.
struct DeviceRecord {
    DeviceWork work = DeviceWork::kernel;
    std::int64_t start_ns = 0;
    std::int64_t end_ns = 0;
    std::int64_t bytes = 0;  ///< of copies
};

/// All that was seen, in any order.
struct DeviceRecords {
    std::vector<DeviceRecord> records;
    std::int64_t dropped = 0;  ///< records that the observer lost
};

inline constexpr std::array<std::string_view, 3> copy_kind_names{"h2d", "d2h", "d2d"};

/// The copies of one kind.
struct CopyAccount {
    std::int64_t count = 0;
    std::int64_t bytes = 0;
    double time_us = 0;    ///< in which at least one was under way
    double hidden_us = 0;  ///< of it while layers' kernels ran
};

/// A layer in a phase. Microseconds; `absent` where the records do not say.
struct LayerKernels {
    float marked = absent;  ///< its time by the marks, as in the account
    float seen = absent;    ///< the same by the records: to the end of its last kernel
    float busy = absent;    ///< of the marked time: some kernel, fill or copy on the device ran
    float idle = absent;    ///< and the rest
    float beside = absent;  ///< of the marked time: all-reduce or copies from or to the host ran
    std::int64_t kernels = 0;

    /// By how much the marks' time is too long.
    [[nodiscard]] float error() const noexcept { return marked - seen; }
};

struct KernelAccount {
    /// Of layer * 3 + phase; empty where records were lost, or none of the marks can be found in
    /// them: half an account would say that the device rested.
    std::vector<LayerKernels> layers;
    std::array<CopyAccount, copy_kind_names.size()> copies{};
    std::int64_t kernels = 0;  ///< in the iteration, without anchors
    std::int64_t dropped = 0;
    float iteration_time = absent;
    float busy = absent;      ///< of the iteration: anything at all ran
    float mismatch = absent;  ///< largest difference of the two clocks at an anchor, once aligned
};

/// Closes it. `anchors_ns` are the moments of the marks behind the anchors, in their order, some at
/// the beginning and as many at the end of the iteration: they tie the observer's clock to the
/// marks'. `iteration` is the account of the same iteration, with layers.
///
/// A record belongs to the layer in whose time its middle lies; its time is cut at the border.
[[nodiscard]] KernelAccount close_kernel_account(const Account& iteration,
                                                 std::span<const std::int64_t> anchors_ns,
                                                 const DeviceRecords& records);

}  // namespace layerledger
