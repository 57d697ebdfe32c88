// The learning rate as a function of the iteration.
#pragma once

#include <cstdint>

namespace layerledger {

enum class DecayKind : unsigned char { constant, step, cosine };

/// Lengths are in iterations.
struct LearningRateSchedule {
    DecayKind decay = DecayKind::constant;
    double base = 0.01;
    double step_factor = 0.1;      ///< step: times this ...
    std::int64_t step_length = 0;  ///< ... after every so many
    std::int64_t warmup = 0;       ///< linear from base/(warmup+1) up to base
    std::int64_t total = 1;        ///< cosine: half a period from the end of warm-up to here

    [[nodiscard]] double at(std::int64_t iteration) const;
};

}  // namespace layerledger
