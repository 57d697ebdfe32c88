// What this process takes of the machine's memory.
#pragma once

namespace layerledger {

/// From here on `peak_memory_bytes` counts anew, so that a run does not inherit the peak of the one
/// before it. Does nothing where the system cannot do that.
void reset_peak_memory() noexcept;

/// Largest resident memory of this process so far; NaN where the system does not say.
[[nodiscard]] double peak_memory_bytes();

}  // namespace layerledger
