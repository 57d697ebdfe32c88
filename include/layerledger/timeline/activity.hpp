// The activities of an iteration that are no layer's work.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace layerledger {

/// Every nanosecond of an iteration is some layer's forward, backward or update, or exactly one of
/// these, or unaccounted.
enum class Activity : unsigned char {
    memcpy_h2d,          ///< input copied to the device, while no layer worked
    memcpy_d2h,          ///< loss and accuracy copied back, while no layer worked
    allreduce_wait,      ///< gradients ready here, the slowest rank not yet there
    allreduce_transfer,  ///< all ranks there, gradients on the way, no layer working
    input_wait,          ///< the next batch was not ready, or not yet in memory that is copied from
    idle_launch,         ///< the device waited for the host to enqueue work
    idle_sync,           ///< waking up after communication, before the update
    idle_other,          ///< outside spans, the processor did not run the training thread
    measurement,         ///< layerledger itself: recorder, gather, commit; a mark is its span's
};

inline constexpr std::array<std::string_view, 9> activity_names{
    "memcpy_h2d",  "memcpy_d2h", "allreduce_wait", "allreduce_transfer", "input_wait",
    "idle_launch", "idle_sync",  "idle_other",     "measurement"};
inline constexpr std::size_t activity_count = activity_names.size();

constexpr std::size_t index(Activity activity) noexcept {
    return static_cast<std::size_t>(activity);
}
constexpr std::string_view name(Activity activity) noexcept {
    return activity_names[index(activity)];
}

}  // namespace layerledger
